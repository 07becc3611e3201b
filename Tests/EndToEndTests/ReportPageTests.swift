// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The layout of the HTML report in a browser.
@Suite(.bounded) struct ReportPageTests {
    /// A script that measures the layout of the page, and posts the result to the parent page.
    private static let probe = """
        <script>
        const cut = [...document.querySelectorAll("body *")].filter(element => {
          if (element.closest("svg") || element.tagName == "SCRIPT") return false;
          const box = element.getBoundingClientRect();
          return box.right > innerWidth + 1 || box.left < -1 || element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1;
        }).map(element => element.tagName + "." + element.className);
        const covering = [...document.querySelectorAll(".at")].filter(label =>
          label.getBoundingClientRect().right > label.closest(".inner").querySelector("svg").getBoundingClientRect().left);
        parent.postMessage(`width ${innerWidth}, cut off: ${cut.join(" ")}, labels over points: ${covering.length}`, "*");
        </script>
        """

    @Test func `at widths of a phone and a desktop nothing is clipped, and no label overlaps the chart`() async throws {
        let browser = "/usr/bin/chromium"
        guard FileManager.default.isExecutableFile(atPath: browser) else {
            throw TestFailure("there is no \(browser): run deploy/test.sh, which installs it")
        }
        let gateway = try await GatewayProcess(["limits.text_per_minute": "3"])
        let client = try await gateway.client()
        let id = try await session(of: gateway)
        let word = String(repeating: "unbroken", count: 200)
        for number in 1...6 {
            try await client.send(["type": "text", "id": .string("m\(number)"), "text": .string("\(number) \(word)\n\ta line of its own")])
        }
        try await client.send(["type": "text"])
        try await client.send(["type": "ping"])
        while try await client.message()["type"] != "pong" {}
        let patch = """
            {"title":"\(String(word.prefix(200)))","tags":["\(word.prefix(64))","vip"],"notes":"\(word)"}
            """
        var annotation = HTTPRequestText("/v1/sessions/\(id)", method: "PATCH")
        annotation.fields.append(("Content-Length", "\(patch.utf8.count)"))
        annotation.body = patch
        #expect(try await gateway.operationsResponse(to: annotation).status == 200)
        let page = try await gateway.operationsResponse(to: HTTPRequestText("/v1/sessions/\(id)/report?format=html"))
        #expect(page.body.components(separatedBy: "<li class=\"error\">").count > 2)

        let directory = try TemporaryDirectory()
        try directory.write(page.body + Self.probe, to: "report.html")
        for width in [390, 1280] {
            let frame = """
                <title>waiting</title><script>onmessage = event => document.title = event.data</script>
                <iframe src="report.html" style="width:\(width)px;height:900px;border:0"></iframe>
                """
            try directory.write(frame, to: "\(width).html")
            let result = try await ChildProcess.run(
                browser,
                [
                    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir=\(directory.path)/profile",
                    "--timeout=40000", "--virtual-time-budget=3000", "--dump-dom", "file://\(directory.path)/\(width).html",
                ], directory: directory.path, environment: ["HOME": directory.path], timeout: .seconds(60))
            #expect(
                result.lines.contains { $0.contains("<title>width \(width), cut off: , labels over points: 0</title>") },
                "\(result.lines.first { $0.contains("<title>") } ?? "no page")")
        }
    }

    private func session(of gateway: GatewayProcess) async throws -> String {
        let list = try JSON(try await gateway.operationsResponse(to: HTTPRequestText("/v1/sessions")).body)
        return list["sessions"][0]["session_id"].string ?? ""
    }

    @Test func `started_at of a session is the same in every response`() async throws {
        let gateway = try await GatewayProcess()
        let client = try await gateway.client()
        let id = try await session(of: gateway)
        var times: Set<Double> = []
        for _ in 0..<50 {
            let shown = try JSON(try await gateway.operationsResponse(to: HTTPRequestText("/v1/sessions/\(id)")).body)
            times.insert(shown["session"]["started_at"].number ?? 0)
            try await client.expectServed()
        }
        try await client.send(["type": "text", "id": "a", "text": "hello"])
        _ = try await client.message("ack")
        _ = try await client.message("text")
        try await client.send(["type": "bye"])
        try await client.expectClose(1000)
        _ = try await gateway.line("session ended")
        let ended = try JSON(try await gateway.operationsResponse(to: HTTPRequestText("/v1/sessions/\(id)/report?format=json")).body)
        times.insert(ended["session"]["started_at"].number ?? 0)
        #expect(times.count == 1 && times.first ?? 0 > 1_600_000_000_000, "\(times)")
    }
}
