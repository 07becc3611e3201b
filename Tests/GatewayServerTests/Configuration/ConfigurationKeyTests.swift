// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayServer

@Suite("Each key of the configuration")
struct ConfigurationKeyTests {
    @Test func `the table has exactly the expected keys`() {
        #expect(ConfigurationKey.all.map(\.name) == KeySample.all.map(\.name))
        #expect(Set(ConfigurationKey.all.map(\.variable)).count == ConfigurationKey.all.count)
    }

    @Test func `no variable of a key matches the form that Kubernetes generates`() {
        for key in ConfigurationKey.all {
            for value in ["", "1", "tcp://10.0.0.1:1"] { #expect(!ConfigurationVariables.isKubernetesServiceVariable(key.variable, value)) }
        }
    }

    @Test(arguments: KeySample.all)
    func `each environment has the expected default`(sample: KeySample) throws {
        let key = try configurationKey(sample.name)
        #expect(key.shown(in: .defaults(for: .development)) == sample.development)
        #expect(key.shown(in: .defaults(for: .staging)) == sample.staging)
        #expect(key.shown(in: .defaults(for: .production)) == sample.production)
        let origin = try loadConfiguration().origin(sample.name)
        #expect(origin == .init(key: sample.name, value: sample.development, source: "default"))
    }

    @Test(arguments: KeySample.all)
    func `a file sets the key, and the source is its line`(sample: KeySample) throws {
        let parts = sample.name.split(separator: ".", maxSplits: 1)
        let directory = try ConfigurationDirectory([
            "gateway.yaml": "# a comment\n\n\(parts[0]):\n  # another\n  \(parts[1]): \(sample.other)\n"
        ])
        let origin = try #require(try directory.load().origin(sample.name))
        #expect(try origin.value == (configurationKey(sample.name).isSecret ? ConfigurationKey.mask : sample.other))
        #expect(origin.source == "\(directory.path)/gateway.yaml:5")
    }

    @Test(arguments: KeySample.all)
    func `a variable sets the key`(sample: KeySample) throws {
        let key = try configurationKey(sample.name)
        let loaded = try loadConfiguration([], [key.variable: bare(sample.other)])
        #expect(key.text(loaded.configuration) == sample.other)
        #expect(loaded.origin(sample.name)?.source == "PARLEY_" + sample.name.uppercased().replacing(".", with: "_"))
    }

    @Test(arguments: KeySample.all)
    func `a flag sets the key, with = and with a space`(sample: KeySample) throws {
        let key = try configurationKey(sample.name)
        for arguments in [["--\(sample.name)=\(bare(sample.other))"], ["--\(sample.name)", bare(sample.other)]] {
            let loaded = try loadConfiguration(arguments)
            #expect(key.text(loaded.configuration) == sample.other)
            #expect(loaded.origin(sample.name)?.source == "--\(sample.name)")
        }
    }

    @Test(arguments: KeySample.all)
    func `values within the bounds are allowed`(sample: KeySample) throws {
        let key = try configurationKey(sample.name)
        for text in sample.allowed {
            // Rules between keys may report problems, but not this one.
            #expect(try !configurationProblems([], [key.variable: text]).contains { $0.allowed == key.allowed }, "\(text)")
        }
    }

    @Test(arguments: KeySample.all)
    func `values outside the bounds are rejected, with key, value, source and the allowed values`(sample: KeySample) throws {
        let key = try configurationKey(sample.name)
        for text in sample.rejected {
            let shown = key.isList ? "[" + text.split(separator: ",", omittingEmptySubsequences: false).joined(separator: ", ") + "]" : text
            let expected = ConfigurationProblem(
                key: sample.name, value: key.isSecret ? ConfigurationKey.mask : shown, source: key.variable, allowed: key.allowed)
            #expect(try configurationProblems([], [key.variable: text]) == [expected], "\(text)")
            #expect(try configurationProblems(["--\(sample.name)=\(text)"]).map(\.source) == [key.flag], "\(text)")
        }
        #expect(try configurationProblems([], [key.variable: bare(sample.other)]) == [])
    }

    @Test(arguments: KeySample.all)
    func `the wrong kind of YAML node is rejected with its line`(sample: KeySample) throws {
        let key = try configurationKey(sample.name)
        for node in ["{a: 1}", key.isList ? "word" : "[a, b]", "[[a]]", "~", ""] {
            let directory = try ConfigurationDirectory(["gateway.yaml": "\n\(sample.name): \(node)\n"])
            let problems = directory.problems()
            #expect(problems.map(\.key) == [sample.name], "\(node)")
            #expect(problems.map(\.source) == ["\(directory.path)/gateway.yaml:2"], "\(node)")
            #expect(problems.map(\.allowed) == [key.allowed], "\(node)")
        }
    }

    @Test(arguments: KeySample.all)
    func `a change is reloadable or needs a restart, as expected`(sample: KeySample) throws {
        let key = try configurationKey(sample.name)
        let running = try loadConfiguration().configuration
        let read = try loadConfiguration([], [key.variable: bare(sample.other)]).configuration
        let diff = ConfigurationDiff(from: running, to: read)
        // connections.max_sockets depends on connections.max.
        let expected = (diff.reloadable + diff.needsRestart).filter { $0.key == sample.name || sample.name != "connections.max" }
        guard sample.other != sample.development else { return #expect(diff.isEmpty) }
        let shown = key.isSecret ? ConfigurationKey.mask : sample.other
        #expect(expected == [.init(key: sample.name, old: sample.development, new: shown)])
        #expect(diff.reloadable.isEmpty == !sample.live)
        #expect(diff.applied == (sample.live ? read : running))
    }

    /// Returns the text as variables and flags contain it: lists without brackets.
    private func bare(_ text: String) -> String {
        text.hasPrefix("[") && text.hasSuffix("]") && !text.contains("]:") ? String(text.dropFirst().dropLast()) : text
    }
}
