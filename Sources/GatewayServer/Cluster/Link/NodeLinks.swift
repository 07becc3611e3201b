// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import Logging
package import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// The links of this node to the others of its cluster: one for each, opened on demand.
///
/// When two nodes dial each other at the same time, the link that the lower node id dialed stays; the other one is closed when the
/// requests and streams on it have ended.
package final class NodeLinks: Service, CustomStringConvertible {
    /// Handles a request of another node. Requests are handled concurrently.
    package typealias RequestHandler = @Sendable (_ kind: UInt8, _ message: [UInt8], _ node: ULID) async -> [UInt8]
    /// Accepts a stream that another node has opened, on the event loop of the link. Must attach a reader or close the stream, at once or
    /// later.
    package typealias StreamHandler = @Sendable (_ stream: NodeStream, _ label: [UInt8]) -> Void

    struct State {
        var links: [ULID: NodeLink] = [:]
        /// Links that are replaced, but have requests or streams.
        var retired: [ObjectIdentifier: NodeLink] = [:]
        var dials: [ULID: EventLoopFuture<NodeLink>] = [:]
        var handshakes = 0
        var isShutDown = false
        var onRequest: RequestHandler = { _, _, _ in [] }
        var onStream: StreamHandler = { stream, _ in stream.close(.refused) }
        var listener: (any Channel)?
        var throttle = LogThrottle<LogTopic>(lines: 5, per: .seconds(10))
    }

    /// The kinds of throttled log lines.
    enum LogTopic: Int, CaseIterable, Sendable {
        case rejected
    }

    let settings: NodeLinkSettings
    let group: any EventLoopGroup
    let logger: Logger
    let state = Mutex(State())

    package init(_ settings: NodeLinkSettings, group: any EventLoopGroup, logger: Logger) {
        self.settings = settings
        self.group = group
        self.logger = logger
    }

    /// The service's name in log lines of the service lifecycle.
    package var description: String { "node links" }

    /// Sets the handlers of what other nodes send. To be called before the listener starts.
    package func handle(requests: @escaping RequestHandler, streams: @escaping StreamHandler) {
        state.withLock { ($0.onRequest, $0.onStream) = (requests, streams) }
    }

    /// The ids of the nodes to which a link is open.
    package var peers: [ULID] { state.withLock { Array($0.links.keys) } }

    // MARK: Requests and streams

    /// Sends a request to a node and waits for its response.
    ///
    /// - Parameters:
    ///   - address: the address that the node announced; used if no link is open
    ///   - timeout: for the response, after the link is open
    /// - Throws: ``NodeLinkError``
    package func request(
        _ message: [UInt8], kind: UInt8, to node: ULID, at address: SocketEndpoint, timeout: Duration = .seconds(5)
    ) async throws -> [UInt8] {
        try await send(message, kind: kind, to: node, at: address, timeout: timeout).get()
    }

    /// Sends a request to a node. As ``request(_:kind:to:at:timeout:)``, for event loops.
    package func send(
        _ message: [UInt8], kind: UInt8, to node: ULID, at address: SocketEndpoint, timeout: Duration = .seconds(5)
    ) -> EventLoopFuture<[UInt8]> {
        withLink(to: node, at: address) { $0.request(message, kind: kind, timeout: TimeAmount(timeout)) }
    }

    /// Opens a stream to a node.
    ///
    /// - Parameter label: tells the other node the purpose of the stream
    package func openStream(to node: ULID, at address: SocketEndpoint, label: [UInt8]) -> EventLoopFuture<NodeStream> {
        withLink(to: node, at: address) { $0.open(label: label) }
    }

    /// Performs `body` with the link to a node, and once more if the link was being replaced.
    private func withLink<Value: Sendable>(
        to node: ULID, at address: SocketEndpoint, _ body: @escaping @Sendable (NodeLink) -> EventLoopFuture<Value>
    ) -> EventLoopFuture<Value> {
        link(to: node, at: address).flatMap(body).flatMapError { [self] error in
            guard error as? NodeLinkError == .retired else { return group.any().makeFailedFuture(error) }
            return link(to: node, at: address).flatMap(body)
        }
    }

    // MARK: The service

    package func run() async throws {
        try await start()
        try? await gracefulShutdown()
        await shutDown()
    }

    /// Starts the listener, unless it has started.
    ///
    /// - Returns: its address; nil without a listener
    @discardableResult
    package func start() async throws -> SocketEndpoint? {
        guard let address = settings.listen else { return nil }
        if let started = state.withLock({ $0.listener })?.localAddress { return SocketEndpoint(started) }
        let channel = try await ListenerFailure.convertingErrors("cluster.listen", address) { try await bind(address) }
        let isShutDown = state.withLock { state in
            state.listener = channel
            return state.isShutDown
        }
        if isShutDown { try? await channel.close() }
        guard let local = channel.localAddress else { return address }
        logger.info("listening for other nodes", metadata: ["address": "\(SocketEndpoint(local))"])
        return SocketEndpoint(local)
    }

    /// Closes the listener and all links.
    package func shutDown() async {
        let (listener, links) = state.withLock { state -> ((any Channel)?, [NodeLink]) in
            state.isShutDown = true
            defer { state.listener = nil }
            return (state.listener, Array(state.links.values) + Array(state.retired.values))
        }
        try? await listener?.close()
        for link in links {
            link.close(because: "the node is shutting down")
            // Returns when the link is closed.
            try? await link.eventLoop.submit {}.get()
        }
    }
}

// MARK: From the links

extension NodeLinks: NodeLinkOwner {
    func linkEstablished(_ link: NodeLink, from address: SocketAddress?) {
        let (loser, isShutDown) = state.withLock { state -> (NodeLink?, Bool) in
            if !link.isDialer { state.handshakes -= 1 }
            guard !state.isShutDown else { return (nil, true) }
            guard let existing = state.links[link.peer] else {
                state.links[link.peer] = link
                return (nil, false)
            }
            // If the same node has dialed twice, the newer link stays: the dialer has lost the older one.
            let isLowerNode = settings.node < link.peer
            let loser = link.isDialer == isLowerNode || link.isDialer == existing.isDialer ? existing : link
            if loser === existing { state.links[link.peer] = link }
            state.retired[ObjectIdentifier(loser)] = loser
            return (loser, false)
        }
        if isShutDown { return link.close(because: "the node is shutting down") }
        logger.info(
            "node link established",
            metadata: [
                "node": "\(link.peer)", "address": "\(address.map { "\(SocketEndpoint($0))" } ?? "unknown")",
                "dialed": .stringConvertible(link.isDialer),
            ])
        loser?.retire()
    }

    func linkRetired(_ link: NodeLink) {
        state.withLock { state in
            if state.links[link.peer] === link { state.links[link.peer] = nil }
            state.retired[ObjectIdentifier(link)] = link
        }
    }

    func linkClosed(_ link: NodeLink, because reason: String) {
        state.withLock { state in
            if state.links[link.peer] === link { state.links[link.peer] = nil }
            state.retired[ObjectIdentifier(link)] = nil
        }
        logger.info("node link closed", metadata: ["node": "\(link.peer)", "reason": "\(reason)"])
    }

    func handshakeFailed(isDialer: Bool, from address: SocketAddress?, because reason: String) {
        let verdict = state.withLock { state in
            if !isDialer { state.handshakes -= 1 }
            return state.throttle.admit(.rejected, now: Instant(nanoseconds: LoopClock.monotonicNanoseconds()))
        }
        guard case .write(let suppressed) = verdict else { return }
        var metadata: Logger.Metadata = [
            "address": "\(address.map { "\(SocketEndpoint($0))" } ?? "unknown")", "reason": "\(reason)",
            "dialed": .stringConvertible(isDialer),
        ]
        if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
        logger.warning("node link rejected", metadata: metadata)
    }

    func handle(_ kind: UInt8, _ message: [UInt8], from node: ULID) async -> [UInt8] {
        await state.withLock { $0.onRequest }(kind, message, node)
    }

    func opened(_ stream: NodeStream, label: [UInt8]) { state.withLock { $0.onStream }(stream, label) }
}
