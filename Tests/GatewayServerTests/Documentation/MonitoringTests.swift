// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayServer
import Support
import Testing

/// The dashboard, rules and alerts of `deploy/monitoring`, compared with the metrics of the code and with the page Monitoring.
@Suite("The dashboard and the alerts") struct MonitoringTests {
    private static let directory = Repository.path + "/deploy/monitoring"

    private static func text(_ name: String) throws -> String {
        try String(contentsOfFile: "\(directory)/\(name)", encoding: .utf8)
    }

    /// The panels of the dashboard, without rows.
    private static func panels() throws -> [JSON] {
        let all = try JSON(text("parley-dashboard.json"))["panels"].array ?? []
        return all.flatMap { panel in (panel["type"].string == "row" ? [] : [panel]) + (panel["panels"].array ?? []) }
    }

    /// A rule of the files, and its annotations and labels.
    private struct Rule {
        let name: String
        let isAlert: Bool
        var expression = ""
        var fields: [String: String] = [:]
    }

    /// Returns the rules of a file, which uses the subset of YAML that the files of this directory are written in.
    private static func rules(_ name: String) throws -> [Rule] {
        var rules: [Rule] = []
        var isExpression = false
        for line in try text(name).components(separatedBy: "\n") {
            if let match = line.wholeMatch(of: /[ ]{6}- (alert|record): (\S+)/) {
                rules.append(Rule(name: String(match.2), isAlert: match.1 == "alert"))
                isExpression = false
            } else if let match = line.wholeMatch(of: /[ ]{8}expr: (.+)/) {
                isExpression = match.1 == "|"
                if !isExpression { rules[rules.count - 1].expression = String(match.1) }
            } else if isExpression, line.hasPrefix("          ") {
                rules[rules.count - 1].expression += line + " "
            } else if let match = line.wholeMatch(of: /[ ]{10}(\w+): "?(.+?)"?/) {
                rules[rules.count - 1].fields[String(match.1)] = String(match.2)
            } else {
                isExpression = false
            }
        }
        return rules
    }

    /// Every expression, with the place where it is.
    private static func expressions() throws -> [(place: String, expression: String)] {
        let rules = try (rules("parley-rules.yml") + rules("parley-alerts.yml")).map { ($0.name, $0.expression) }
        return try rules
            + panels().flatMap { panel in
                (panel["targets"].array ?? []).map { (panel["title"].string ?? "?", $0["expr"].string ?? "") }
            }
    }

    // MARK: Metrics

    @Test func `every metric in an expression is a metric of the code or a recording rule`() throws {
        let recorded = Set(try Self.rules("parley-rules.yml").map(\.name))
        let known = MetricFamily.series.union(recorded).union(["up"])
        for (place, expression) in try Self.expressions() {
            let names = PromQL.metrics(in: expression)
            #expect(!names.isEmpty, "\(place): \(expression)")
            #expect(names.isSubset(of: known), "\(place): \(names.subtracting(known))")
        }
    }

    @Test func `every metric of the code is on the dashboard`() throws {
        let shown = try Self.panels().reduce(into: Set<String>()) { result, panel in
            for target in panel["targets"].array ?? [] { result.formUnion(PromQL.metrics(in: target["expr"].string ?? "")) }
        }
        for family in MetricFamily.all.map(\.name) where !["_bucket", ""].contains(where: { shown.contains(family + $0) }) {
            Issue.record("no panel shows \(family)")
        }
    }

    @Test func `a latency is a percentile of a histogram that is summed first`() throws {
        for (place, expression) in try Self.expressions() {
            let histograms = PromQL.metrics(in: expression).filter { $0.hasSuffix("_bucket") }
            guard !histograms.isEmpty else { continue }
            #expect(expression.contains(/histogram_quantile\(0?\.\d+, sum by \([\w, ]*le\) \(rate\(/), "\(place): \(expression)")
        }
        for panel in try Self.panels() where panel["fieldConfig"]["defaults"]["unit"].string == "s" {
            for expression in (panel["targets"].array ?? []).compactMap({ $0["expr"].string }) {
                #expect(expression.hasPrefix("histogram_quantile(") || expression.contains("time()"), "\(expression)")
            }
        }
    }

    private static let samples: [(String, Set<String>)] = [
        ("rate(parley_a_total{code=~\"x|y\"}[5m])", ["parley_a_total"]),
        ("sum by (job, le) (rate(b_bucket[5m])) / 1e3 and on (job) job:c:p95 > 0.5", ["b_bucket", "job:c:p95"]),
        ("time() - max(d) by (instance)", ["d"]),
        ("histogram_quantile(0.5, sum without (x) (e))", ["e"]),
    ]

    @Test(arguments: samples)
    func `an expression's metrics are its names without functions, labels and keywords`(expression: String, names: Set<String>) {
        #expect(PromQL.metrics(in: expression) == names)
    }

    // MARK: The dashboard

    @Test func `at most four rows are open, and panels don't overlap`() throws {
        let all = try JSON(Self.text("parley-dashboard.json"))["panels"].array ?? []
        let rows = all.filter { $0["type"].string == "row" }
        #expect(rows.count { $0["collapsed"].bool == false } == 4)
        #expect(rows.count > 8)
        let panels = try Self.panels()
        #expect(Set((panels + rows).compactMap { $0["id"].integer }).count == panels.count + rows.count)
        for group in [all.filter { $0["type"].string != "row" }] + rows.map({ $0["panels"].array ?? [] }) {
            var cells: Set<[Int]> = []
            for panel in group {
                let position = panel["gridPos"]
                let (x, y) = try (#require(position["x"].integer), #require(position["y"].integer))
                let (width, height) = try (#require(position["w"].integer), #require(position["h"].integer))
                #expect(x >= 0 && x + width <= 24)
                for column in x..<x + width { for row in y..<y + height { #expect(cells.insert([column, row]).inserted) } }
            }
        }
    }

    @Test func `each panel has a description, and follows the variables`() throws {
        let dashboard = try JSON(Self.text("parley-dashboard.json"))
        let variables = Set((dashboard["templating"]["list"].array ?? []).compactMap { $0["name"].string })
        #expect(variables == ["datasource", "instance", "upstream"])
        // Grafana 10.
        #expect((dashboard["schemaVersion"].integer ?? 0) >= 38)
        for panel in try Self.panels() {
            let title = panel["title"].string ?? ""
            #expect(!title.isEmpty && panel["description"].string?.hasSuffix(".") == true, "\(title)")
            #expect(panel["datasource"]["uid"].string == "${datasource}", "\(title)")
            for target in panel["targets"].array ?? [] {
                let expression = try #require(target["expr"].string)
                #expect(expression.contains("instance=~\"$instance\""), "\(title)")
                let isOfUpstream = expression.contains("upstream, ") || expression.contains("(upstream")
                #expect(!isOfUpstream || expression.contains("upstream=~\"$upstream\""), "\(title)")
            }
        }
    }

    // MARK: Alerts

    @Test func `each alert has a severity, a summary and a runbook of one or more sentences`() throws {
        let alerts = try Self.rules("parley-alerts.yml")
        #expect(alerts.count > 20 && alerts.allSatisfy(\.isAlert))
        for alert in alerts {
            #expect(["critical", "warning"].contains(alert.fields["severity"]), "\(alert.name)")
            #expect(alert.fields["summary"]?.hasSuffix(".") == true, "\(alert.name)")
            #expect(alert.fields["runbook"]?.hasSuffix(".") == true, "\(alert.name)")
        }
    }

    @Test func `the configuration keys in the runbooks exist`() throws {
        let names = Set(ConfigurationKey.all.map(\.name))
        let runbooks = try Self.rules("parley-alerts.yml").compactMap { $0.fields["runbook"] }
        let keys = runbooks.flatMap { $0.matches(of: /`([a-z_]+\.[a-z_]+)`/).map { String($0.1) } }
        #expect(keys.count > 5)
        for key in keys { #expect(names.contains(key), "\(key)") }
    }

    @Test func `the page lists the alerts with their severities, in their order`() throws {
        let lines = try MarkdownPage("Sources/GatewayServer/Documentation.docc/Monitoring.md").prose.map(\.text)
        let start = try #require(lines.firstIndex(of: "| alert | severity | fires when |"))
        let rows = lines[(start + 2)...].prefix { $0.hasPrefix("|") }.map {
            MarkdownPage.cells(of: $0).prefix(2).map { $0.filter { $0 != "`" } }
        }
        let alerts = try Self.rules("parley-alerts.yml").map { [$0.name, $0.fields["severity"] ?? ""] }
        #expect(rows == alerts)
    }
}
