// SPDX-License-Identifier: Apache-2.0

import GatewayCore
package import NIOCore

#if canImport(Glibc)
import Glibc
#endif

/// Controls when the listener accepts connections. Accepting pauses at `connections.max_sockets` and for ``retryDelay`` after the system ran
/// out of descriptors or memory, and ends when the gateway drains.
///
/// To pause, the gate withholds the listener's `read`, which deregisters the listener from the selector: the event loop doesn't spin, and
/// clients wait in the backlog.
package final class AcceptGate: ChannelDuplexHandler {
    package typealias InboundIn = any Channel
    package typealias InboundOut = any Channel
    package typealias OutboundIn = Never

    /// The reason why an accepted connection is closed at once.
    package enum Rejection: Sendable {
        /// A limit of its address.
        case limit
        /// The listener admits trusted proxies only, and the peer isn't one.
        case untrusted
    }

    private let connectionLimits: ConnectionLimits
    private let admitsOnlyProxies: Bool
    private let gates: AcceptGateGroup
    private let rejected: @Sendable (ClientAddress, Rejection) -> Void
    private let failed: @Sendable (any Error) -> Void
    private var isReadPending = false
    private var isWaitingForDescriptors = false
    private var isClosed = false

    /// How long accepting pauses after EMFILE, ENFILE, ENOBUFS or ENOMEM.
    package static let retryDelay = TimeAmount.milliseconds(250)

    /// - Parameters:
    ///   - admitsOnlyProxies: whether only trusted proxies may connect
    ///   - gates: the gates of all listeners that share the limits
    ///   - rejected: called for each connection that is closed at once, for counters and logs
    ///   - failed: called for each failed accept
    package init(
        connectionLimits: ConnectionLimits, admitsOnlyProxies: Bool = false, gates: AcceptGateGroup = AcceptGateGroup(),
        rejected: @escaping @Sendable (ClientAddress, Rejection) -> Void, failed: @escaping @Sendable (any Error) -> Void
    ) {
        self.connectionLimits = connectionLimits
        self.admitsOnlyProxies = admitsOnlyProxies
        self.gates = gates
        self.rejected = rejected
        self.failed = failed
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        let gate = NIOLoopBound(self, eventLoop: context.eventLoop)
        let listener = NIOLoopBound(context, eventLoop: context.eventLoop)
        gates.add { listener.eventLoop.execute { gate.value.resume(context: listener.value) } }
    }

    package func read(context: ChannelHandlerContext) {
        if isWaitingForDescriptors || isClosed || !connectionLimits.canAcceptSocket {
            isReadPending = true
        } else {
            context.read()
        }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = unwrapInboundIn(data)
        let peer = NetworkAddress(channel.remoteAddress)
        let isProxy = connectionLimits.isTrusted(peer)
        let address = isProxy ? .exempt : ClientAddress(channel.remoteAddress)
        guard !isClosed, isProxy || !admitsOnlyProxies,
            connectionLimits.admitSocket(of: address, now: Instant(nanoseconds: LoopClock.monotonicNanoseconds()))
        else {
            channel.close(promise: nil)
            if !isClosed { rejected(address, isProxy || !admitsOnlyProxies ? .limit : .untrusted) }
            return
        }
        let (connectionLimits, gates) = (connectionLimits, gates)
        channel.closeFuture.whenComplete { _ in
            connectionLimits.releaseSocket(of: address)
            // Usually accepting isn't paused, but only the listener's event loop may read that state.
            gates.resume()
        }
        context.fireChannelRead(data)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failed(error)
        guard let error = error as? IOError, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.errnoCode) else { return }
        guard !isWaitingForDescriptors else { return }
        isWaitingForDescriptors = true
        // A failed accept leaves the listener readable in the selector; only turning autoRead off deregisters it.
        isReadPending = true
        setAutoRead(false, context: context)
        let gate = NIOLoopBound(self, eventLoop: context.eventLoop)
        let listener = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.retryDelay) {
            gate.value.isWaitingForDescriptors = false
            gate.value.setAutoRead(true, context: listener.value)
            gate.value.resume(context: listener.value)
        }
    }

    /// The outbound user event that a reload sends when limits have changed: accepting may resume.
    package struct LimitsChanged: Sendable {
        package init() {}
    }

    package func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is LimitsChanged else { return context.triggerUserOutboundEvent(event, promise: promise) }
        resume(context: context)
        promise?.succeed()
    }

    package func handlerRemoved(context: ChannelHandlerContext) { isClosed = true }

    package func channelInactive(context: ChannelHandlerContext) {
        isClosed = true
        context.fireChannelInactive()
    }

    private func setAutoRead(_ isOn: Bool, context: ChannelHandlerContext) {
        guard !isClosed else { return }
        try? context.channel.syncOptions?.setOption(.autoRead, value: isOn)
    }

    private func resume(context: ChannelHandlerContext) {
        guard isReadPending, !isWaitingForDescriptors, !isClosed, connectionLimits.canAcceptSocket else { return }
        isReadPending = false
        context.read()
    }
}
