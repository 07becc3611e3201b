// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import GatewayServer

/// The two sides of a node link in memory, on one event loop. ``run()`` carries bytes and performs tasks until nothing is left.
final class NodeLinkPair {
    /// Records what a side of the link reports.
    final class Owner: NodeLinkOwner {
        struct State {
            var links: [NodeLink] = []
            var closed: [String] = []
            var failures: [String] = []
            var retired = 0
            var streams: [(stream: NodeStream, label: [UInt8])] = []
        }

        let state = Mutex(State())

        func linkEstablished(_ link: NodeLink, from address: SocketAddress?) { state.withLock { $0.links.append(link) } }
        func linkClosed(_ link: NodeLink, because reason: String) { state.withLock { $0.closed.append(reason) } }
        func linkRetired(_ link: NodeLink) { state.withLock { $0.retired += 1 } }
        func handshakeFailed(isDialer: Bool, from address: SocketAddress?, because reason: String) {
            state.withLock { $0.failures.append(reason) }
        }
        func handle(_ kind: UInt8, _ message: [UInt8], from node: ULID) async -> [UInt8] { message }
        func opened(_ stream: NodeStream, label: [UInt8]) { state.withLock { $0.streams.append((stream, label)) } }

        var closed: [String] { state.withLock { $0.closed } }
        var failures: [String] { state.withLock { $0.failures } }
        var links: [NodeLink] { state.withLock { $0.links } }
        var streams: [NodeStream] { state.withLock { $0.streams.map(\.stream) } }
        var labels: [[UInt8]] { state.withLock { $0.streams.map(\.label) } }
    }

    static let secret = Array("0123456789abcdef".utf8)

    static func settings(_ node: UInt64, secret: [UInt8] = secret) -> NodeLinkSettings {
        NodeLinkSettings(node: ULID(high: 0, low: node), security: NodeLinkSecurity(secret: secret), listen: nil)
    }

    let loop = EmbeddedEventLoop()
    let dialer: EmbeddedChannel
    let listener: EmbeddedChannel
    let dialerOwner = Owner()
    let listenerOwner = Owner()
    private(set) var dialed: Result<NodeLink, any Error>?
    /// The bytes that each side has sent.
    private(set) var fromDialer: [UInt8] = []
    private(set) var fromListener: [UInt8] = []
    /// Whether bytes are held back, as on a network that drops everything.
    var isCut = false
    /// Maximum size of the pieces in which bytes arrive.
    var pieces = Int.max

    init(
        dialer dialerSettings: NodeLinkSettings = settings(1), listener listenerSettings: NodeLinkSettings = settings(2),
        expecting expected: UInt64 = 2
    ) throws {
        dialer = EmbeddedChannel(loop: loop)
        listener = EmbeddedChannel(loop: loop)
        let promise = loop.makePromise(of: NodeLink.self)
        try dialer.pipeline.syncOperations.addHandler(
            NodeLinkHandler(
                settings: dialerSettings, expected: ULID(high: 0, low: expected), owner: dialerOwner, established: promise))
        try listener.pipeline.syncOperations.addHandler(
            NodeLinkHandler(settings: listenerSettings, expected: nil, owner: listenerOwner, established: nil))
        let result = NIOLoopBound(self, eventLoop: loop)
        promise.futureResult.whenComplete { result.value.dialed = $0 }
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
        try listener.connect(to: address).wait()
        try dialer.connect(to: address).wait()
    }

    /// Makes a pair whose handshake is complete.
    static func established() throws -> NodeLinkPair {
        let pair = try NodeLinkPair()
        try pair.run()
        try #require(pair.dialerOwner.links.count == 1 && pair.listenerOwner.links.count == 1)
        return pair
    }

    func run() throws {
        var isBusy = true
        while isBusy {
            loop.run()
            isBusy = try transfer(from: dialer, to: listener, log: \.fromDialer)
            if try transfer(from: listener, to: dialer, log: \.fromListener) { isBusy = true }
        }
    }

    private func transfer(
        from source: EmbeddedChannel, to target: EmbeddedChannel, log: ReferenceWritableKeyPath<NodeLinkPair, [UInt8]>
    ) throws -> Bool {
        var all: [UInt8] = []
        while let buffer = try source.readOutbound(as: ByteBuffer.self) { all += Array(buffer.readableBytesView) }
        guard !all.isEmpty else { return false }
        self[keyPath: log] += all
        guard !isCut else { return true }
        try receive(all, at: target)
        return true
    }

    func receive(_ bytes: [UInt8], at target: EmbeddedChannel) throws {
        var rest = bytes[...]
        while !rest.isEmpty, target.isActive {
            try target.writeInbound(ByteBuffer(bytes: rest.prefix(pieces)))
            rest = rest.dropFirst(pieces)
        }
    }

    func advance(_ time: TimeAmount) throws {
        loop.advanceTime(by: time)
        try run()
    }

    /// Opens a stream from the dialer. Returns both ends.
    func open(label: [UInt8] = [7]) throws -> (near: NodeStream, far: NodeStream) {
        let link = try #require(dialerOwner.links.last)
        let near = try link.handler.value.open(label: label)
        try run()
        return (near, try #require(listenerOwner.streams.last))
    }
}

/// Records what it receives of a stream. Consumes nothing by itself.
final class StreamRecorder: NodeStream.Reader {
    var messages: [[UInt8]] = []
    var rooms = 0
    var endings: [StreamEnding] = []

    func receive(_ messages: Deque<[UInt8]>) { self.messages += messages }
    func hasRoom() { rooms += 1 }
    func closed(_ ending: StreamEnding) { endings.append(ending) }

    func attach(to stream: NodeStream, on loop: any EventLoop) { stream.attach(NIOLoopBound(self, eventLoop: loop)) }
}
