// SPDX-License-Identifier: Apache-2.0

import Foundation
import ParleyClient
import Support
import Synchronization
import Testing

/// The client library with the real executable, through a proxy that resets and stalls connections.
@Suite(.bounded) struct ParleyClientEndToEndTests {
    private static func configuration(_ gateway: GatewayProcess) -> ParleyClient.Configuration {
        var configuration = ParleyClient.Configuration(trust: .authority(path: gateway.directory.path + "/var/development-cert.pem"))
        configuration.backoff.cap = .milliseconds(100)
        configuration.backoff.attempts = nil
        return configuration
    }

    private static func client(_ proxy: DisconnectingProxy, _ configuration: ParleyClient.Configuration) throws -> ParleyClient {
        try ParleyClient("wss://localhost:\(proxy.port)", configuration: configuration)
    }

    @Test func `a reply streams, and its text is complete`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let words = (1...100).map { "word\($0)" }.joined(separator: " ")
        try await ParleyClient.withClient("wss://localhost:\(gateway.port)", configuration: Self.configuration(gateway)) { client in
            let reply = try await client.say(words)
            var deltas: [String] = []
            for try await delta in reply { deltas.append(delta) }
            #expect(deltas.count > 10 && deltas.joined() == words)
            let text = try await reply.text
            #expect(text == words && reply.hasEnded && reply.error == nil)
            #expect(client.state == .open && client.sessionID != nil)
        }
    }

    @Test func `through reset connections no message is lost or delivered twice`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let proxy = try await DisconnectingProxy(port: gateway.port)
        var configuration = Self.configuration(gateway)
        configuration.maximumEvents = 100_000
        let client = try Self.client(proxy, configuration)
        let events = client.events
        let delivered = Task {
            var texts: [String: String] = [:]
            for await event in events {
                if case .delta(let id, let text, _) = event { texts[id, default: ""] += text }
            }
            return texts
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in 1...4 {
                group.addTask {
                    var random = SplitMix64(state: UInt64(lane))
                    for number in 1...30 {
                        let text = "lane \(lane) message \(number) " + String(repeating: "x y ", count: 20)
                        let reply = try await client.say(text)
                        if Bool.random(using: &random) { await proxy.resetConnections() }
                        let response = try await reply.text
                        #expect(response == text)
                    }
                }
            }
            try await group.waitForAll()
        }
        let statistics = client.statistics
        #expect(statistics.resumes >= 10 && statistics.resumes == statistics.reconnects && statistics.eventsDropped == 0, "\(statistics)")
        await client.close()
        let texts = await delivered.value
        #expect(texts.count == 120 && Set(texts.values).count == 120)
        await proxy.stop()
    }

    @Test func `a half-open connection is noticed by its pongs, and the session continues on another one`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let proxy = try await DisconnectingProxy(port: gateway.port)
        var configuration = Self.configuration(gateway)
        configuration.heartbeat = .seconds(1)
        let client = try Self.client(proxy, configuration)
        let before = try await client.say("before").text
        #expect(before == "before")
        let session = client.sessionID
        await proxy.stallConnections()
        let begun = ContinuousClock.now
        let after = try await client.say("after").text
        #expect(after == "after")
        #expect(ContinuousClock.now - begun < .seconds(15))
        #expect(client.statistics.resumes == 1 && client.statistics.lostPongs == 2 && client.sessionID == session)
        await client.close()
        await proxy.stop()
    }

    @Test func `audio continues after lost connections without lost or repeated chunks`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let proxy = try await DisconnectingProxy(port: gateway.port)
        let client = try Self.client(proxy, Self.configuration(gateway))
        // 3 s in chunks of 20 ms; the proxy resets the connection at two of them.
        let (source, continuation) = AsyncStream.makeStream(of: [UInt8].self)
        var options = ParleyClient.RequestOptions()
        options.metadata = ["echo": "audio"]
        let reply = try await client.listen(to: source, options: options)
        for number in 0..<150 {
            continuation.yield([UInt8](repeating: UInt8(number), count: 640))
            if number == 50 || number == 100 {
                try await reply.accepted()
                await proxy.resetConnections()
            }
        }
        continuation.finish()
        var received: [UInt8] = []
        for try await chunk in reply.audio { received += chunk }
        #expect(received == (0..<150).flatMap { [UInt8](repeating: UInt8($0), count: 640) })
        #expect(reply.transcript.hasPrefix("3.0 s of pcm16 at 16000 Hz"), "\(reply.transcript)")
        #expect(client.statistics.resumes >= 1)
        await client.close()
        await proxy.stop()
    }

    @Test func `a rejected token is refreshed once, and a second rejection closes the client`() async throws {
        let gateway = try await SharedGateways.withoutLimits([
            "auth.mode": "jwt", "auth.secret": TestToken.secret, "connections.per_user": "0", "auth.failures_per_minute": "0",
        ])
        let calls = Mutex(0)
        let valid = try TestToken.make("swift")
        var configuration = Self.configuration(gateway)
        configuration.token = {
            calls.withLock { calls in
                calls += 1
                return calls == 1 ? "invalid" : valid
            }
        }
        try await ParleyClient.withClient("wss://localhost:\(gateway.port)", configuration: configuration) { client in
            let text = try await client.say("hello").text
            #expect(text == "hello")
            #expect(calls.withLock { $0 } == 2)
        }
        configuration.token = { "invalid" }
        let rejected = try ParleyClient("wss://localhost:\(gateway.port)", configuration: configuration)
        let error = await #expect(throws: ParleyError.self) { try await rejected.connect() }
        #expect(error?.errorClass == .auth && error?.advice == .signIn && error?.correlationID != nil, "\(String(describing: error))")
    }

    @Test func `after its attempts the client gives up; queued texts fail; reconnect tries again`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let port = try await DisconnectingProxy(port: gateway.port)
        await port.stop()
        var configuration = Self.configuration(gateway)
        configuration.backoff.attempts = 2
        configuration.backoff.base = .milliseconds(10)
        configuration.maximumQueuedMessages = 2
        let client = try ParleyClient("wss://localhost:\(port.port)", configuration: configuration)
        let replies = [try await client.say("a"), try await client.say("b")]
        await #expect(throws: ParleyError.self) { _ = try await client.say("c") }
        for reply in replies {
            let error = await #expect(throws: ParleyError.self) { _ = try await reply.text }
            #expect(error?.code == "gave_up" && error?.errorClass == .network)
        }
        guard case .closed = client.state else {
            Issue.record("\(client.state)")
            return
        }
        client.reconnect()
        #expect(client.state == .connecting)
        await client.close()
    }

    @Test func `a full queue suspends the caller while connected`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        var configuration = Self.configuration(gateway)
        configuration.maximumQueuedMessages = 1
        try await ParleyClient.withClient("wss://localhost:\(gateway.port)", configuration: configuration) { client in
            try await client.connect()
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 1...50 { group.addTask { try await client.say("text \(number)").text == "text \(number)" } }
                for try await isEqual in group { #expect(isEqual) }
            }
        }
    }

    @Test func `cancel and close end replies once, and a client that is dropped closes its connection`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let client = try ParleyClient("wss://localhost:\(gateway.port)", configuration: Self.configuration(gateway))
        let (source, continuation) = AsyncStream.makeStream(of: [UInt8].self)
        let cancelled = try await client.listen(to: source)
        continuation.yield([0, 0])
        try await cancelled.accepted()
        cancelled.cancel()
        cancelled.cancel()
        #expect(cancelled.error?.isCancellation == true)
        let text = try await client.say("still there").text
        #expect(text == "still there")
        let open = try await client.listen(to: AsyncStream<[UInt8]> { _ in })
        await client.close()
        #expect(open.error?.code == "closed" && client.statistics.queued == 0)
        let error = await #expect(throws: ParleyError.self) { _ = try await client.say("late") }
        #expect(error?.code == "closed")
        continuation.finish()
    }
}
