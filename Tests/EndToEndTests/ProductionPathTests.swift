// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

extension PageExampleTests {
    /// The time in which the commands of the page must lead to a web page with a response. A reader also needs time to read.
    private static let maximumDuration = Duration.seconds(60)
    /// The origin that the page passes to `parley init`.
    private static let port = 8000

    @Test func `the way from nothing to production, as the page says it, takes less than a minute and ends in a browser`() async throws {
        let page = try MarkdownPage("Sources/GatewayServer/Documentation.docc/GettingStarted.md")
        let clock = ContinuousClock()
        let begun = clock.now
        var run = try PageRun(page)
        do {
            let last = try #require(page.blocks.firstIndex { $0.code.contains("site/index.html") })
            var steps: [String] = []
            for block in page.blocks[...last] {
                let started = clock.now
                try await run.perform(block)
                if block.language == "sh" { steps.append("line \(block.line): \(clock.now - started)") }
            }
            let reply = try await open(run.directory)
            #expect(reply == "hello from a page")
            let duration = clock.now - begun
            print("from nothing to production: \(duration); \(steps.joined(separator: ", "))")
            #expect(duration < Self.maximumDuration, "\(steps)")
        } catch {
            await run.stopBackground()
            throw error
        }
        await run.stopBackground()
    }

    /// Serves the directory `site` as the page says, opens it in Chromium with the minted token, and returns the text of the reply.
    private func open(_ directory: TemporaryDirectory) async throws -> String? {
        // An open document in a frame delays the load event, which `--dump-dom` waits for, until the reply has arrived.
        let hold = """
            <iframe id="hold" hidden></iframe>
            <script>
            const frame = document.getElementById("hold").contentDocument;
            frame.open();
            new MutationObserver(() => frame.close()).observe(document.getElementById("reply"), {childList: true});
            socket.onclose = (event) => (document.getElementById("reply").textContent = `closed ${event.code} ${event.reason}`);
            </script>
            """
        try directory.write(try directory.read("site/index.html") + hold, to: "site/index.html")
        let token = try directory.read("me.token").trimmingCharacters(in: .newlines)
        let server = try ChildProcess(
            try Python.path(), ["-u", "-m", "http.server", "\(Self.port)", "--bind", "127.0.0.1", "--directory", "site"],
            directory: directory.path)
        defer { server.signal(SIGKILL) }
        _ = try #require(await server.output.wait(timeout: .seconds(20)) { $0.lines.first }, "\(server.errorLines)")
        let browser = try ChildProcess(
            "/usr/bin/chromium",
            [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--ignore-certificate-errors",
                "--user-data-dir=\(directory.path)/profile", "--timeout=30000", "--dump-dom", "http://localhost:\(Self.port)/#\(token)",
            ], directory: directory.path, environment: ["HOME": directory.path])
        #expect(try await browser.exit(timeout: .seconds(60)) == 0)
        let match = browser.lines.joined(separator: "\n").firstMatch(of: #/<p id="reply">([^<]*)</#)
        return match.map { String($0.1) }
    }
}
