// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import Logging
import NIOCore
import NIOPosix
import Support
import Synchronization
import Testing

@testable import GatewayServer

/// Nodes in one process, linked by sockets on loopback.
@Suite("The links of a node", .bounded) struct NodeLinksTests {
    private struct Node {
        let id: ULID
        let links: NodeLinks
        let address: SocketEndpoint
        let log: LogRecorder
    }

    private final class Accepted: Sendable {
        private let state = Mutex<NodeStream?>(nil)

        var stream: NodeStream? { state.withLock { $0 } }
        func set(_ stream: NodeStream) { state.withLock { $0 = stream } }
    }

    private static let group = MultiThreadedEventLoopGroup.singleton

    /// Starts a node that answers each request with its kind, its message, and this node's number.
    private func node(
        _ number: UInt64, security: NodeLinkSecurity = NodeLinkSecurity(secret: NodeLinkPair.secret),
        streams: @escaping NodeLinks.StreamHandler = { stream, _ in stream.close(.refused) },
        change: (inout NodeLinkSettings) -> Void = { _ in }
    ) async throws -> Node {
        let id = ULID(high: 0, low: number)
        var settings = NodeLinkSettings(node: id, security: security, listen: SocketEndpoint(host: "127.0.0.1", port: 0))
        change(&settings)
        let log = LogRecorder()
        let links = NodeLinks(settings, group: Self.group, logger: Logger(label: "cluster") { _ in log })
        links.handle(
            requests: { kind, message, _ in
                // Kind 9 is never answered in time.
                if kind == 9 { try? await Task.sleep(for: .seconds(60)) }
                return [kind] + message + [UInt8(number)]
            }, streams: streams)
        return Node(id: id, links: links, address: try #require(try await links.start()), log: log)
    }

    private func error(_ body: () async throws -> Void) async -> NodeLinkError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? NodeLinkError
        }
    }

    @Test func `requests in both directions use one link`() async throws {
        let (a, b) = (try await node(1), try await node(2))
        #expect(try await a.links.request([5], kind: 3, to: b.id, at: b.address) == [3, 5, 2])
        #expect(try await b.links.request([6], kind: 4, to: a.id, at: a.address) == [4, 6, 1])
        let large = [UInt8](repeating: 7, count: 1 << 20)
        #expect(try await a.links.request(large, kind: 1, to: b.id, at: b.address) == [1] + large + [2])
        #expect(a.links.peers == [b.id] && b.links.peers == [a.id])
        #expect(a.log.lines.filter { $0.hasPrefix("node link established") }.count == 1)
        await a.links.shutDown()
        await b.links.shutDown()
        #expect(a.log.lines.contains { $0.hasPrefix("node link closed") && $0.contains("reason=the node is shutting down") })
    }

    @Test func `nodes that dial each other at the same time keep the link that the lower id dialed, and lose no request`() async throws {
        for _ in 0..<20 {
            let (a, b) = (try await node(1), try await node(2))
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<10 {
                    let message = [UInt8(number)]
                    group.addTask { try await a.links.request(message, kind: 0, to: b.id, at: b.address) == [0] + message + [2] }
                    group.addTask { try await b.links.request(message, kind: 0, to: a.id, at: a.address) == [0] + message + [1] }
                }
                for try await isRight in group { #expect(isRight) }
            }
            #expect(a.links.peers == [b.id] && b.links.peers == [a.id])
            #expect(try await a.links.request([1], kind: 0, to: b.id, at: b.address) == [0, 1, 2])
            await a.links.shutDown()
            await b.links.shutDown()
        }
    }

    @Test func `a wrong secret is rejected on both sides, and logged without it`() async throws {
        let a = try await node(1)
        let b = try await node(2, security: NodeLinkSecurity(secret: Array("another secret, 22 long".utf8)))
        let error = await error { _ = try await a.links.request([], kind: 0, to: b.id, at: b.address) }
        #expect(error == .unreachable("connection closed by the peer") || error == .rejected(.wrongSecret))
        #expect(b.log.lines.contains { $0.hasPrefix("node link rejected") && $0.contains("reason=wrong cluster secret") })
        #expect(!b.log.lines.joined().contains("another secret"))
        #expect(a.links.peers.isEmpty && b.links.peers.isEmpty)
        await a.links.shutDown()
        await b.links.shutDown()
    }

    @Test func `requests fail with the reason`() async throws {
        let (a, b) = (try await node(1), try await node(2))
        let port = try ReservedPort()
        #expect(
            await error { _ = try await a.links.request([], kind: 0, to: b.id, at: SocketEndpoint(host: "127.0.0.1", port: port.number)) }?
                .description.contains("Connection refused") == true)
        #expect(await error { _ = try await a.links.request([], kind: 0, to: a.id, at: a.address) } == .rejected(.sameNode))
        #expect(
            await error { _ = try await a.links.request([], kind: 0, to: ULID(high: 0, low: 3), at: b.address) } == .rejected(.anotherNode))
        #expect(
            await error { _ = try await a.links.request([], kind: 9, to: b.id, at: b.address, timeout: .milliseconds(100)) } == .timeout)
        let largest = [UInt8](repeating: 0, count: NodeFrame.maximumPayload)
        #expect(await error { _ = try await a.links.request(largest, kind: 0, to: b.id, at: b.address) } == .tooLarge)
        // The response would be larger than a frame.
        let large = Array(largest.dropLast())
        #expect(await error { _ = try await a.links.request(large, kind: 0, to: b.id, at: b.address) } == .busy)
        let pending = a.links.send([], kind: 9, to: b.id, at: b.address, timeout: .seconds(30))
        // On the same link, hence after the pending request.
        #expect(try await a.links.request([1], kind: 0, to: b.id, at: b.address) == [0, 1, 2])
        await b.links.shutDown()
        #expect(await error { _ = try await pending.get() } == .lost)
        await a.links.shutDown()
        #expect(await error { _ = try await a.links.request([], kind: 0, to: b.id, at: b.address) } == .shutDown)
    }

    @Test func `a node whose peer is gone dials again`() async throws {
        let a = try await node(1)
        var b = try await node(2)
        _ = try await a.links.request([], kind: 0, to: b.id, at: b.address)
        await b.links.shutDown()
        b = try await node(3)
        #expect(try await a.links.request([], kind: 0, to: b.id, at: b.address) == [0, 3])
        await a.links.shutDown()
        await b.links.shutDown()
    }

    @Test func `a stream carries messages over sockets, and both sides learn that the peer is gone`() async throws {
        let accepted = Accepted()
        let a = try await node(1)
        let b = try await node(2) { stream, label in
            #expect(label == [1, 2, 3])
            accepted.set(stream)
        }
        let loop = Self.group.next()
        let near = try await a.links.openStream(to: b.id, at: b.address, label: [1, 2, 3]).get()
        let reader = try await loop.submit {
            let reader = StreamRecorder()
            reader.attach(to: near, on: loop)
            return NIOLoopBound(reader, eventLoop: loop)
        }.get()
        // A response on the same link follows the stream's opening.
        _ = try await a.links.request([], kind: 0, to: b.id, at: b.address)
        let far = try #require(accepted.stream)
        for number in 0..<1000 { far.send([UInt8(truncatingIfNeeded: number)]) }
        try await poll { try await loop.submit { reader.value.messages.count }.get() == 1000 }
        #expect(try await loop.submit { reader.value.messages == (0..<1000).map { [UInt8(truncatingIfNeeded: $0)] } }.get())
        await b.links.shutDown()
        try await poll { try await loop.submit { reader.value.endings }.get() == [.linkLost] }
        await a.links.shutDown()
    }

    private func poll(_ condition: () async throws -> Bool) async throws {
        for _ in 0..<1000 where !(try await condition()) { try await Task.sleep(for: .milliseconds(5)) }
        #expect(try await condition())
    }

    // MARK: Mutual TLS

    private func security(_ file: String, _ files: TestCertificates, _ authority: TestCertificates.IssuedCertificate) throws
        -> NodeLinkSecurity
    {
        let certificate = try files.make(.init(["127.0.0.1", "\(file).example"]), file: file, issuer: authority)
        return try NodeLinkSecurity(
            secret: nil, certificate: certificate.files, authority: authority.files.certificate, now: LoopClock.wallMilliseconds() / 1000)
    }

    @Test func `nodes with certificates of the same authority are linked, and others aren't`() async throws {
        let files = try TestCertificates()
        let authority = try files.make(.init(["nodes"], isAuthority: true), file: "nodes")
        let foreign = try files.make(.init(["foreign"], isAuthority: true), file: "foreign")
        let a = try await node(1, security: security("a", files, authority))
        let b = try await node(2, security: security("b", files, authority))
        #expect(try await a.links.request([5], kind: 3, to: b.id, at: b.address) == [3, 5, 2])
        let c = try await node(3, security: security("c", files, foreign))
        #expect(await error { _ = try await c.links.request([], kind: 0, to: b.id, at: b.address) } != nil)
        #expect(await error { _ = try await b.links.request([], kind: 0, to: c.id, at: c.address) } != nil)
        // A node with a secret only speaks no TLS.
        let d = try await node(4)
        #expect(await error { _ = try await d.links.request([], kind: 0, to: b.id, at: b.address) } != nil)
        #expect(b.links.peers == [a.id])
        for node in [a, b, c, d] { await node.links.shutDown() }
    }

    @Test func `connections in their handshake are limited`() async throws {
        let a = try await node(1, change: { $0.handshakes = 2 })
        var idle: [any Channel] = []
        for _ in 0..<2 {
            idle.append(try await ClientBootstrap(group: Self.group).connect(host: "127.0.0.1", port: a.address.port).get())
        }
        try await poll { a.links.state.withLock { $0.handshakes } == 2 }
        let third = try await ClientBootstrap(group: Self.group).connect(host: "127.0.0.1", port: a.address.port).get()
        try await third.closeFuture.get()
        for channel in idle { try await channel.close() }
        try await poll { a.links.state.withLock { $0.handshakes } == 0 }
        let b = try await node(2)
        #expect(try await b.links.request([], kind: 0, to: a.id, at: a.address) == [0, 1])
        await a.links.shutDown()
        await b.links.shutDown()
    }
}
