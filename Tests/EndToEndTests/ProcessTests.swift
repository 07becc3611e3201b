// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayServer
import Support
import Testing

/// Signals, reloads, exit codes and output of the gateway process.
@Suite(.bounded) struct ProcessTests {
    // MARK: Draining

    @Test func `SIGTERM drains: goaway, 1012, exit 0`() async throws {
        let gateway = try await GatewayProcess(["shutdown.drain": "3s"])
        let client = try await gateway.client()
        gateway.signal(SIGTERM)
        let goaway = try await client.message("goaway")
        #expect(goaway["reason"] == "draining")
        #expect((1...3000).contains(goaway["deadline_ms"].integer ?? 0))
        // Clients are served until the drain deadline.
        try await client.expectServed()
        let reason = try await client.expectClose(1012)
        #expect(reason.hasPrefix("draining"))
        #expect(try await gateway.exit() == 0)
        #expect(gateway.process.errorLines.isEmpty)
    }

    @Test func `a drain ends once all connections are closed`() async throws {
        let gateway = try await GatewayProcess(["shutdown.drain": "60s"])
        let client = try await gateway.client()
        gateway.signal(SIGTERM)
        _ = try await client.message("goaway")
        try await client.send(["type": "bye"])
        try await client.expectClose(1000)
        #expect(try await gateway.exit() == 0)
    }

    @Test func `during a drain readyz returns 503, and new connections are rejected`() async throws {
        let gateway = try await GatewayProcess(["shutdown.drain": "20s"])
        let client = try await gateway.client()
        // Connected before the drain; the request is sent during it.
        let early = try await TestSocket.connect(port: gateway.port)
        let inband = try await TestSocket.connect(port: gateway.port)
        let ready = HTTPRequestText("/readyz", fields: [("Host", "localhost"), ("Connection", "close")])
        #expect(try await gateway.operationsResponse(to: ready).status == 200)
        gateway.signal(SIGTERM)
        _ = try await client.message("goaway")
        let response = try await gateway.operationsResponse(to: ready)
        #expect(response.status == 503)
        #expect(response.body.contains("draining"))
        #expect(try await gateway.operationsResponse(to: HTTPRequestText("/livez")).status == 200)
        try await early.send(HTTPRequestText.upgrade().bytes)
        let rejection = try await early.receiveResponse()
        #expect(rejection.status == 503)
        #expect(try rejection.json()["code"] == "draining")
        try await TestWebSocket(inband, .upgrade("/v1/ws?errors=inband")).expectFatalError("draining", 1012)
        try await client.send(["type": "bye"])
        try await client.expectClose(1000)
        #expect(try await gateway.exit() == 0)
    }

    @Test func `a second SIGTERM exits at once`() async throws {
        let gateway = try await GatewayProcess(["shutdown.drain": "60s"])
        let client = try await gateway.client()
        gateway.signal(SIGTERM)
        _ = try await client.message("goaway")
        gateway.signal(SIGTERM)
        #expect(try await gateway.exit(timeout: .seconds(10)) == 0)
    }

    @Test func `a client that doesn't reply to the close frame is disconnected within the drain`() async throws {
        let gateway = try await GatewayProcess(["shutdown.drain": "1s", "websocket.close_timeout": "30s"])
        let client = try await gateway.client()
        gateway.signal(SIGINT)
        _ = try await client.message("goaway")
        guard case .close(1012, _) = try await client.next() else { throw TestFailure("no 1012") }
        #expect(try await gateway.exit(timeout: .seconds(10)) == 0)
    }

    // MARK: Reload

    @Test func `SIGHUP applies reloadable keys, reports keys that require a restart, and rejects an invalid file`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("limits: {text_per_minute: 4}\nsessions: {max: 50}\n", to: "config/gateway.yaml")
        try directory.write("limits: {}\n", to: "config/development.yaml")
        let gateway = try await GatewayProcess(directory: directory)
        func limit() async throws -> JSON { try await gateway.webSocket().message("session")["limits"]["limits.text_per_minute"] }
        #expect(try await limit() == 4)

        try directory.write("limits: {text_per_minute: 8}\nsessions: {max: 60}\n", to: "config/gateway.yaml")
        gateway.signal(SIGHUP)
        let restart = try await gateway.line("restart required")
        #expect(restart.text.contains("sessions.max"))
        let reloaded = try await gateway.line("configuration reloaded")
        #expect(reloaded.text.contains("limits.text_per_minute"))
        #expect(try await limit() == 8)

        try directory.write("limits: {text_per_minute: many}\nnonsense: 1\n", to: "config/gateway.yaml")
        gateway.signal(SIGHUP)
        let rejected = try await gateway.line("configuration not reloaded")
        #expect(rejected.text.contains("gateway.yaml"))
        #expect(try await limit() == 8)
        try await gateway.expectNextClientServed()
        try await gateway.stop()
    }

    @Test func `a reload changes the limits of existing sessions`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("limits: {text_per_minute: 4}\n", to: "config/gateway.yaml")
        try directory.write("limits: {}\n", to: "config/development.yaml")
        let gateway = try await GatewayProcess(directory: directory)
        let client = try await gateway.client()
        try await client.send(all: (0..<2).map { ["type": "text", "id": .string("a\($0)"), "text": "x"] })
        _ = try await client.message("ack")
        _ = try await client.error("rate_limited")
        _ = try await client.message("text")
        try directory.write("limits: {text_per_minute: 0}\n", to: "config/gateway.yaml")
        gateway.signal(SIGHUP)
        _ = try await gateway.line("configuration reloaded")
        for number in 0..<20 {
            try await client.send(["type": "text", "id": .string("b\(number)"), "text": "x"])
            _ = try await client.message("ack")
            _ = try await client.message("text")
        }
        try await gateway.stop()
    }

    @Test func `a changed file is reloaded without a signal`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("limits: {audio_per_minute: 4}\n", to: "config/gateway.yaml")
        let gateway = try await GatewayProcess(directory: directory)
        try directory.write("limits: {audio_per_minute: 8}\n", to: "config/gateway.yaml")
        let line = try await gateway.line("configuration reloaded")
        #expect(line.text.contains("limits.audio_per_minute"))
        try await gateway.stop()
    }

    @Test func `a replaced certificate is used for new connections, and open ones continue`() async throws {
        let first = try await TestCertificatePair()
        let second = try await TestCertificatePair()
        let directory = try TemporaryDirectory()
        func install(_ pair: TestCertificatePair) throws {
            // The file watcher may see only the new key: the old pair then stays until the signal, which is sent after both writes.
            try directory.write(try pair.directory.read("key.pem"), to: "key.pem")
            try directory.write(try pair.directory.read("cert.pem"), to: "cert.pem")
        }
        try install(first)
        let gateway = try await GatewayProcess(
            ["tls.certificates": "\(directory.path)/cert.pem:\(directory.path)/key.pem"], directory: directory)
        let old = try await TestWebSocket(
            try await TestSocket.connect(port: gateway.port, .trusting(path: first.certificate)))
        _ = try await old.message("session")
        try install(second)
        gateway.signal(SIGHUP)
        _ = try await gateway.line("configuration reloaded")
        let new = try await TestWebSocket(
            try await TestSocket.connect(port: gateway.port, .trusting(path: second.certificate)))
        _ = try await new.message("session")
        await #expect(throws: TestFailure.self) {
            _ = try await TestSocket.connect(port: gateway.port, .trusting(path: first.certificate))
        }
        try await old.expectServed()
        try await new.expectServed()
        // An invalid certificate changes nothing.
        try directory.write("rubbish", to: "cert.pem")
        gateway.signal(SIGHUP)
        _ = try await gateway.line("configuration not reloaded")
        _ = try await TestSocket.connect(port: gateway.port, .trusting(path: second.certificate))
        try await gateway.stop()
    }

    @Test func `SNI chooses the certificate`() async throws {
        let local = try await TestCertificatePair()
        let other = try await TestCertificatePair(name: "voice.example")
        let gateway = try await GatewayProcess(["tls.certificates": "\(other.files),\(local.files)"])
        // SNI `localhost` selects the second certificate.
        _ = try await TestSocket.connect(port: gateway.port, .trusting(path: local.certificate))
        await #expect(throws: TestFailure.self) {
            _ = try await TestSocket.connect(port: gateway.port, .trusting(path: other.certificate))
        }
        try await gateway.stop()
    }

    @Test func `TLS below the minimum version is rejected`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["tls.minimum_version": "1.3"])
        let log = try await ChildProcess.run(
            "/usr/bin/openssl", ["s_client", "-connect", "127.0.0.1:\(gateway.port)", "-tls1_2"], directory: gateway.directory.path)
        #expect(log.status != 0)
        let modern = try await ChildProcess.run(
            "/usr/bin/openssl", ["s_client", "-connect", "127.0.0.1:\(gateway.port)", "-tls1_3"], directory: gateway.directory.path)
        #expect(modern.lines.contains { $0.contains("TLSv1.3") })
        try await gateway.expectNextClientServed()
    }

    @Test func `with client_auth required, clients without a certificate are rejected`() async throws {
        let clients = try await TestCertificatePair(name: "client.example")
        let gateway = try await SharedGateways.withoutLimits(["tls.client_auth": "required", "tls.client_ca": clients.certificate])
        func status(_ arguments: [String]) async throws -> (Int32, [String]) {
            let run = try await ChildProcess.run(
                "/usr/bin/curl",
                ["--silent", "--show-error", "--insecure", "--max-time", "10", "https://127.0.0.1:\(gateway.port)/livez"] + arguments,
                directory: gateway.directory.path)
            return (run.status, run.lines)
        }
        #expect(try await status([]).0 != 0)
        let response = try await status(["--cert", clients.certificate, "--key", clients.key])
        #expect(response.0 == 0)
        #expect(response.1.joined().contains("ok"))
    }

    // MARK: Invalid configuration

    @Test func `an invalid configuration exits with 78, and every problem is on standard error`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("limits:\n  text_per_minute: lots\nlimitz: 1\n", to: "config/gateway.yaml")
        let result = try await GatewayProcess.run(
            ["serve", "--messages.max_bytes", "huge", "--conections.max", "5"], directory: directory,
            environment: ["PARLEY_SESSIONS_TTL": "soon"])
        #expect(result.status == 78)
        #expect(result.lines.isEmpty)
        let text = result.errorLines.joined(separator: "\n")
        for problem in [
            "limits.text_per_minute", "gateway.yaml:2", "limitz", "messages.max_bytes", "connections.max", "PARLEY_SESSIONS_TTL",
        ] {
            #expect(text.contains(problem), "\(problem) isn't in \(text)")
        }
        let checked = try await GatewayProcess.run(["config", "check", "--messages.max_bytes", "huge"], directory: directory)
        #expect(checked.status == 78)
    }

    @Test(arguments: [
        ["--environment", "production"], ["--store.kind", "redis"], ["--auth.mode", "mtls"], ["--heartbeat.stale_after", "1s"],
        ["--operations.address", "0.0.0.0:0"], ["--listen.address", "nowhere"],
        ["--environment", "staging"], ["--connections.trusted_proxies", "10.0.0.1/8"],
        ["--listen.proxy_protocol", "required"], ["--listen.plain", "127.0.0.1:0"],
    ])
    func `an unsupported or contradictory configuration exits with 78`(flags: [String]) async throws {
        let directory = try TemporaryDirectory()
        let result = try await GatewayProcess.run(["serve"] + flags, directory: directory)
        #expect(result.status == 78)
        #expect((result.errorLines + result.lines).joined().contains(flags[0].dropFirst(2)) || flags[0] == "--environment")
    }

    @Test func `a key that doesn't match its certificate exits with 78`() async throws {
        let one = try await TestCertificatePair()
        let two = try await TestCertificatePair()
        let directory = try TemporaryDirectory()
        let result = try await GatewayProcess.run(
            ["serve"] + GatewayProcess.arguments(["tls.certificates": "\(one.certificate):\(two.key)"]), directory: directory)
        #expect(result.status == 78)
        #expect((result.errorLines + result.lines).joined().contains(two.key))
    }

    @Test func `a missing certificate exits with 78, and its file is reported`() async throws {
        let directory = try TemporaryDirectory()
        let result = try await GatewayProcess.run(
            ["serve"] + GatewayProcess.arguments(["tls.certificates": "no.pem:such.key"]), directory: directory)
        #expect(result.status == 78)
        #expect((result.errorLines + result.lines).joined().contains("no.pem"))
    }

    @Test func `an address in use exits with 1 and a log line`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let directory = try TemporaryDirectory()
        let result = try await GatewayProcess.run(
            ["serve"] + GatewayProcess.arguments(["listen.address": "127.0.0.1:\(gateway.port)"]), directory: directory)
        #expect(result.status == 1)
        #expect(result.lines.contains { $0.contains("the gateway can't run") })
    }

    @Test func `config check accepts the configuration, and config print shows sources and masks secrets`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("limits:\n  text_per_minute: 7\n", to: "config/gateway.yaml")
        try directory.write("limits: {}\n", to: "config/development.yaml")
        let check = try await GatewayProcess.run(["config", "check"], directory: directory)
        #expect(check.status == 0)
        let printed = try await GatewayProcess.run(
            ["config", "print", "--sessions.max=5"], directory: directory,
            environment: ["PARLEY_OPERATIONS_TOKEN": "HushHushMarker", "PARLEY_MESSAGES_MAX_DEPTH": "9"])
        #expect(printed.status == 0)
        let text = printed.lines.joined(separator: "\n")
        #expect(!text.contains("HushHushMarker"))
        func line(_ key: String) -> String { printed.lines.first { $0.contains(key) } ?? "" }
        #expect(line("operations.token").contains("PARLEY_OPERATIONS_TOKEN"))
        #expect(line("limits.text_per_minute").contains("7"))
        #expect(line("limits.text_per_minute").contains("gateway.yaml:2"))
        #expect(line("sessions.max ").contains("--sessions.max") || line("sessions.max").contains("--sessions.max"))
        #expect(line("messages.max_depth").contains("PARLEY_MESSAGES_MAX_DEPTH"))
        #expect(line("delivery.send_timeout").contains("5s"))
    }

    // MARK: The log

    @Test func `the log has JSON lines, one for each closed connection, and no texts or tokens`() async throws {
        let gateway = try await GatewayProcess(["logging.level": "trace", "shutdown.drain": "2s", "http.query_tokens": "true"])
        let marker = "SaidMarker\(UInt32.random(in: 0 ... .max))"
        let token = "TokenMarker\(UInt32.random(in: 0 ... .max))"
        var request = HTTPRequestText.upgrade("/v1/ws?access_token=\(token)q&resume=\(token)r")
        request["Sec-WebSocket-Protocol"] = "parley.v1, bearer.\(token)q"
        request["Authorization"] = "Bearer \(token)q"
        let client = try await gateway.webSocket(request)
        let session = try await client.message("session")
        try await client.send(["type": "auth", "token": .string(token)])
        _ = try await client.error("unauthorized")
        try await client.send(.object(["type": "text", "id": "m", "text": .string(marker), "meta": ["k": .string(marker)]]))
        _ = try await client.message("ack")
        _ = try await client.message("text")
        try await client.send(.string(marker))
        _ = try await client.error("invalid_json")
        try await client.send(.object(["type": .string(marker)]))
        let error = try await client.error("unsupported_type")
        try await client.send(["type": "bye"])
        try await client.expectClose(1000)
        let rejected = try await gateway.response(to: .upgrade("/v1/\(token)"))
        #expect(rejected.status == 404)
        _ = try await gateway.line { $0["msg"] == "connection closed" && $0["code"] == 1000 }
        gateway.signal(SIGTERM)
        #expect(try await gateway.exit() == 0)

        #expect(gateway.process.errorLines.isEmpty)
        let lines = gateway.process.lines
        let log = try gateway.log()
        for line in log {
            #expect(line["ts"].string != nil && line["level"].string != nil && line["msg"].string != nil && line["logger"].string != nil)
        }
        #expect(!lines.contains { $0.contains(token) })
        // The text may only be in lines at level trace, in development.
        for (text, line) in zip(lines, log) where text.contains(marker) { #expect(line["level"] == "trace") }
        let closed = log.filter { $0["msg"] == "connection closed" && $0["session_id"] == session["session_id"] }
        #expect(closed.count == 1)
        let line = try #require(closed.first)
        #expect(line["code"] == 1000)
        #expect(line["reason"].string != nil)
        #expect(line["duration_ms"].integer ?? -1 >= 0)
        #expect(line["bytes_in"].integer ?? 0 > 0)
        #expect(line["bytes_out"].integer ?? 0 > 0)
        #expect(line["messages_in"] == 5)
        #expect(line["messages_out"].integer ?? 0 >= 6)
        #expect(line["address"].string?.hasPrefix("127.0.0.1:") == true)
        #expect(line["connection_id"].string != nil)
        #expect(log.contains { $0["correlation_id"] == error["correlation_id"] && $0["connection_id"] == line["connection_id"] })
    }

    @Test func `each upgraded connection is logged once when it closes, whatever the cause`() async throws {
        let gateway = try await GatewayProcess(SharedGateways.withoutLimits)
        let bye = try await gateway.client()
        try await bye.send(["type": "bye"])
        try await bye.expectClose(1000)
        let broken = try await gateway.client()
        try await broken.send(TestFrame(3))
        try await broken.expectClose(1002)
        let reset = try await gateway.client()
        await reset.socket.reset()
        let closing = try await gateway.client()
        try await closing.send(.close(1001))
        _ = try await closing.next()
        try await closing.socket.waitForEnd()
        for code in [1000, 1002, 1006, 1001] {
            _ = try await gateway.line { $0["msg"] == "connection closed" && $0["code"].integer == code }
        }
        let closed = try gateway.log().filter { $0["msg"] == "connection closed" && !$0["session_id"].isNull }
        #expect(closed.count == 4)
        try await gateway.stop()
    }

    @Test(.enabled("before Linux 6.12 the time slice can't be set") { LoopScheduling.timeSlice() > 0 })
    func `event loops have a short scheduler time slice`() async throws {
        let gateway = try await GatewayProcess(["listen.loops": "2"])
        let threads = "/proc/\(gateway.process.identifier)/task"
        let loops = try FileManager.default.contentsOfDirectory(atPath: threads).filter {
            try String(contentsOfFile: "\(threads)/\($0)/comm", encoding: .utf8).hasPrefix("NIO-ELT")
        }
        #expect(loops.count == 2)
        for loop in loops { #expect(LoopScheduling.timeSlice(of: try #require(Int32(loop))) == LoopScheduling.timeSliceNanoseconds) }
        try await gateway.stop()
    }

    @Test func `logging level sets the level of the log`() async throws {
        let gateway = try await GatewayProcess(["logging.level": "info"])
        try await gateway.expectNextClientServed()
        _ = try await gateway.line("connection closed")
        #expect(try gateway.log().allSatisfy { !["debug", "trace"].contains($0["level"].string) })
        try await gateway.stop()
    }

    @Test func `the console format isn't JSON`() async throws {
        let directory = try TemporaryDirectory()
        let process = try ChildProcess(
            try GatewayProcess.executable(),
            ["serve", "--listen.address", "127.0.0.1:0", "--operations.address", "127.0.0.1:0", "--logging.format", "console"],
            directory: directory.path)
        let line: String? = await process.output.wait(timeout: .seconds(20)) { output in output.lines.first { $0.contains("listening") } }
        #expect(line?.hasPrefix("{") == false)
        process.signal(SIGTERM)
        #expect(try await process.exit() == 0)
    }
}
