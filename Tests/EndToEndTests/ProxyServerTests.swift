// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayTLS
import Support
import Testing

/// The shipped configurations of proxies: those of Debian in front of two gateways, the others checked by their schema.
@Suite(.bounded) struct ProxyServerTests {
    /// Gateways with a heartbeat of half a second, so that a WebSocket outlives the proxies' idle time-out of two seconds.
    private func gateways() async throws -> [GatewayProcess] {
        var gateways: [GatewayProcess] = []
        for _ in 0..<2 {
            gateways.append(
                try await GatewayProcess([
                    "connections.trusted_proxies": "127.0.0.1", "listen.plain": "127.0.0.1:0", "listen.proxy_protocol": "optional",
                    "heartbeat.interval": "500ms", "heartbeat.timeout": "1s", "heartbeat.stale_after": "30s", "shutdown.drain": "2s",
                ]))
        }
        return gateways
    }

    /// Connects a client at 127.0.0.5. Returns it with the gateway that has its session, and its address as that gateway shows it.
    private func connect(to port: Int, of gateways: [GatewayProcess]) async throws -> (TestWebSocket, gateway: Int, address: String) {
        let socket = try await TestSocket.connect(port: port, .named("localhost", minimum: .v1_2), from: "127.0.0.5")
        let client = try await TestWebSocket(
            socket, .upgrade(adding: [("X-Forwarded-For", "192.0.2.66"), ("Forwarded", "for=192.0.2.66")]))
        let session = try await client.message("session")["session_id"].string ?? ""
        for (index, gateway) in gateways.enumerated() where gateway.process.isRunning {
            // A draining gateway may close its operations listener meanwhile.
            if let address = (try? await gateway.address(of: session)) ?? nil { return (client, index, address) }
        }
        throw TestFailure("no gateway has the session \(session)")
    }

    /// Replies to the gateway's pings for a while, in which nothing else may arrive.
    private func stayIdle(_ client: TestWebSocket, for duration: Duration) async throws {
        let end = ContinuousClock.now + duration
        client.sendsPongs = false
        while ContinuousClock.now < end {
            guard case .ping(let payload) = try await client.next() else { throw TestFailure("a message other than a ping") }
            try await client.send(TestFrame(TestFrame.pong, payload))
        }
        client.sendsPongs = true
    }

    @Test(arguments: ProxyServer.Kind.allCases)
    func `behind a proxy the client's address arrives, a WebSocket outlives the idle time-out, and a drain moves clients`(
        kind: ProxyServer.Kind
    ) async throws {
        let gateways = try await gateways()
        let proxy = try await ProxyServer(kind, in: gateways)
        let (client, first, address) = try await connect(to: proxy.https, of: gateways)
        // Header fields that the client sent itself don't count.
        #expect(address == "127.0.0.5")
        let tunnel = kind.passesTLS ? try await connect(to: proxy.wss, of: gateways) : nil
        if let tunnel { #expect(tunnel.address.hasPrefix("127.0.0.5:")) }

        // The gateway pings both; the pongs of the second wait until it is read.
        try await stayIdle(client, for: .milliseconds(3200))
        try await client.expectServed()
        try await tunnel?.0.expectServed()

        gateways[first].signal(SIGTERM)
        var closed = false
        while !closed {
            if case .close(let code, _) = try await client.next() {
                #expect(code == 1012)
                try? await client.send(TestFrame.close(1012))
                closed = true
            }
        }
        let moved = try await connect(to: proxy.https, of: gateways)
        #expect(moved.gateway == 1 - first)
        try await moved.0.expectServed()
        if kind.passesTLS {
            let moved = try await connect(to: proxy.wss, of: gateways)
            #expect(moved.gateway == 1 - first)
        }
        _ = try await gateways[first].exit()
        try await gateways[1 - first].stop()
        proxy.process.signal(SIGTERM)
        _ = try await proxy.process.exit()
    }

    // MARK: Schemas

    private static let python = Repository.path + "/.build/proxies/bin/python"

    private func check(_ program: String, _ text: String) async throws -> (status: Int32, output: String) {
        guard FileManager.default.isExecutableFile(atPath: Self.python) else {
            throw TestFailure("\(Self.python) doesn't exist: run deploy/setup.sh test, which creates it")
        }
        let directory = try TemporaryDirectory()
        try text.write(toFile: "\(directory.path)/checked.yaml", atomically: true, encoding: .utf8)
        let result = try await ChildProcess.run(
            Self.python, ["\(Repository.path)/Tests/Proxies/\(program)", "checked.yaml"], directory: directory.path, timeout: .seconds(60))
        return (result.status, (result.lines + result.errorLines).joined(separator: "\n"))
    }

    private func shipped(_ file: String) throws -> String {
        try String(contentsOfFile: "\(Repository.path)/deploy/proxies/\(file)", encoding: .utf8)
    }

    @Test(arguments: [("envoy.py", "envoy.yaml"), ("traefik.py", "traefik.yaml"), ("traefik.py", "traefik-dynamic.yaml")])
    func `each key of the configurations of Envoy and Traefik exists`(program: String, file: String) async throws {
        let result = try await check(program, try shipped(file))
        #expect(result.status == 0, "\(result.output)")
    }

    @Test(arguments: [
        ("envoy.py", "envoy.yaml", "stream_idle_timeout:", "stream_idle_time_out:"), ("envoy.py", "envoy.yaml", "RING_HASH", "RINGHASH"),
        ("envoy.py", "envoy.yaml", "v3.TcpProxy", "v3.TcpProxies"), ("traefik.py", "traefik.yaml", "idleTimeout:", "idleTimeOut:"),
        ("traefik.py", "traefik-dynamic.yaml", "passthrough:", "passThrough:"),
        ("traefik.py", "traefik-dynamic.yaml", "interval: 2s", "interval: [2s]"),
    ])
    func `the checks notice a misspelt key or value`(program: String, file: String, old: String, new: String) async throws {
        let text = try shipped(file)
        #expect(text.contains(old))
        #expect(try await check(program, text.replacing(old, with: new)).status != 0)
    }

    @Test(arguments: ["nginx.conf", "haproxy.cfg", "Caddyfile", "envoy.yaml", "traefik-dynamic.yaml"])
    func `each configuration has two gateways and removes Forwarded`(file: String) throws {
        let text = try shipped(file)
        for gateway in ["10.0.0.11", "10.0.0.12"] { #expect(text.contains(gateway)) }
        #expect(
            text.split(separator: "\n").contains {
                !$0.drop { $0 == " " || $0 == "\t" }.hasPrefix("#") && $0.lowercased().contains("forwarded") && !$0.contains("X-")
            })
        // nginx has no active health checks.
        #expect(file == "nginx.conf" || text.contains("/readyz"))
    }
}
