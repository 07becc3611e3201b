import NIOCore
import Synchronization

/// When the last byte came from the peer, of whatever kind: TLS's own records and parts of a message included.
final class ArrivalClock: Sendable {
    /// Uptime in nanoseconds.
    private let last = Atomic<UInt64>(NIODeadline.now().uptimeNanoseconds)

    func note() { last.store(NIODeadline.now().uptimeNanoseconds, ordering: .relaxed) }

    /// Time since the last byte, or since the clock was made.
    var idle: Duration {
        let now = NIODeadline.now().uptimeNanoseconds
        let last = last.load(ordering: .relaxed)
        return .nanoseconds(Int64(clamping: now > last ? now - last : 0))
    }
}

/// Sets an ``ArrivalClock``. The first handler of a pipeline, so that nothing is missed.
final class ArrivalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let clock: ArrivalClock

    init(_ clock: ArrivalClock) { self.clock = clock }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        clock.note()
        context.fireChannelRead(data)
    }
}
