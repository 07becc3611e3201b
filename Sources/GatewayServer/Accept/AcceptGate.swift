import GatewayCore
package import NIOCore

#if canImport(Glibc)
import Glibc
#endif

/// Stands in the listener's pipeline and decides when it accepts: not at `connections.max_sockets`, not for a moment after the system
/// ran out of descriptors or memory, and no more once the gateway drains.
///
/// Accepting is paused by holding the listener's `read` back, which takes it out of the selector: nothing spins, and clients wait in the
/// backlog.
package final class AcceptGate: ChannelDuplexHandler {
    package typealias InboundIn = any Channel
    package typealias InboundOut = any Channel
    package typealias OutboundIn = Never

    private let connectionLimits: ConnectionLimits
    private let refused: @Sendable (ClientAddress) -> Void
    private let failed: @Sendable (any Error) -> Void
    private var holdsRead = false
    private var isWaitingForDescriptors = false
    private var isClosed = false

    /// How long accepting rests after EMFILE and its like.
    package static let rest = TimeAmount.milliseconds(250)

    /// - Parameters:
    ///   - refused: told of a connection closed because of its address, for counters and logs
    ///   - failed: told of an accept that failed
    package init(
        connectionLimits: ConnectionLimits, refused: @escaping @Sendable (ClientAddress) -> Void,
        failed: @escaping @Sendable (any Error) -> Void
    ) {
        self.connectionLimits = connectionLimits
        self.refused = refused
        self.failed = failed
    }

    package func read(context: ChannelHandlerContext) {
        if isWaitingForDescriptors || isClosed || !connectionLimits.hasRoom {
            holdsRead = true
        } else {
            context.read()
        }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = unwrapInboundIn(data)
        let address = ClientAddress(channel.remoteAddress)
        guard !isClosed, connectionLimits.admitSocket(of: address, now: Instant(nanoseconds: LoopClock.monotonicNanoseconds())) else {
            channel.close(promise: nil)
            if !isClosed { refused(address) }
            return
        }
        let gate = NIOLoopBound(self, eventLoop: context.eventLoop)
        let listener = NIOLoopBound(context, eventLoop: context.eventLoop)
        let connectionLimits = connectionLimits
        channel.closeFuture.whenComplete { _ in
            connectionLimits.releaseSocket(of: address)
            // Nothing waits for room most of the time, but only the listener's loop knows.
            listener.eventLoop.execute { gate.value.resume(context: listener.value) }
        }
        context.fireChannelRead(data)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failed(error)
        guard let error = error as? IOError, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.errnoCode) else { return }
        guard !isWaitingForDescriptors else { return }
        isWaitingForDescriptors = true
        // A failed accept leaves the listener readable in the selector: only without autoRead it is taken out.
        holdsRead = true
        setAutoRead(false, context: context)
        let gate = NIOLoopBound(self, eventLoop: context.eventLoop)
        let listener = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.rest) {
            gate.value.isWaitingForDescriptors = false
            gate.value.setAutoRead(true, context: listener.value)
            gate.value.resume(context: listener.value)
        }
    }

    /// The limits have changed.
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
        guard holdsRead, !isWaitingForDescriptors, !isClosed, connectionLimits.hasRoom else { return }
        holdsRead = false
        context.read()
    }
}
