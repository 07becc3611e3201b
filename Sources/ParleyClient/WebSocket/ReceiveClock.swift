// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization

/// The time of the last byte received from the peer, including TLS handshake records and partial messages.
final class ReceiveClock: Sendable {
    /// Uptime in nanoseconds.
    private let last = Atomic<UInt64>(NIODeadline.now().uptimeNanoseconds)

    /// Records that bytes were received now.
    func recordReceive() { last.store(NIODeadline.now().uptimeNanoseconds, ordering: .relaxed) }

    /// Time since the last byte, or since the clock was created.
    var idle: Duration {
        let now = NIODeadline.now().uptimeNanoseconds
        let last = last.load(ordering: .relaxed)
        return .nanoseconds(Int64(clamping: now > last ? now - last : 0))
    }
}

/// Updates an ``ReceiveClock``. The first handler of the pipeline, so that it sees all bytes.
final class ReceiveClockHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let clock: ReceiveClock

    init(_ clock: ReceiveClock) { self.clock = clock }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        clock.recordReceive()
        context.fireChannelRead(data)
    }
}
