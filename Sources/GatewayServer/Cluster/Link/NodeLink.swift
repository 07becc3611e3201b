// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

/// An established link to another node. All work is done on the event loop of its connection.
final class NodeLink: Sendable {
    let peer: ULID
    /// Whether this node has dialed.
    let isDialer: Bool
    let handler: NIOLoopBound<NodeLinkHandler>

    init(peer: ULID, isDialer: Bool, handler: NIOLoopBound<NodeLinkHandler>) {
        self.peer = peer
        self.isDialer = isDialer
        self.handler = handler
    }

    var eventLoop: any EventLoop { handler.eventLoop }

    func request(_ message: [UInt8], kind: UInt8, timeout: TimeAmount) -> EventLoopFuture<[UInt8]> {
        let promise = eventLoop.makePromise(of: [UInt8].self)
        eventLoop.execute { [handler] in handler.value.request(message, kind: kind, timeout: timeout, promise: promise) }
        return promise.futureResult
    }

    func open(label: [UInt8]) -> EventLoopFuture<NodeStream> {
        eventLoop.submit { [handler] in try handler.value.open(label: label) }
    }

    /// Ends the use of the link for new requests and streams.
    func retire() { eventLoop.execute { [handler] in handler.value.retire() } }

    func close(because reason: String) {
        eventLoop.execute { [handler] in handler.value.close(because: reason, error: .shutDown) }
    }
}
