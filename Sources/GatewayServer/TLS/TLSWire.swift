import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The way of ciphertext to the socket: straight into the kernel while it takes everything, through the channel's queue of pending writes
/// when it doesn't.
///
/// A message's answer is written while the loop handles its read, and fits into the socket's buffer unless the peer is slow. Then a single
/// `send` is all there is to do, and the queue, whose entries are boxed and counted, costs more than the encryption. Order is kept: nothing
/// goes straight while the queue holds anything. Errors aren't looked at here: bytes that the kernel refuses go to the queue, which meets
/// the same error and deals with it.
struct TLSWire {
    private let channel: any Channel
    /// Nil where the channel has no socket of its own, as in tests.
    private let descriptor: NIOBSDSocket.Handle?
    private let queue = Queue()

    /// Shared with the promises of queued writes.
    private final class Queue {
        var writes = 0
    }

    init(_ context: ChannelHandlerContext) {
        channel = context.channel
        // Throws only for a channel that is closed already, which never becomes active.
        descriptor = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { $0 }
    }

    /// Whether the next bytes would go straight to the kernel. The descriptor is the channel's own for as long as it is active: it becomes
    /// inactive in the same step as the descriptor is closed.
    var isClear: Bool { queue.writes == 0 && descriptor != nil && channel.isActive }

    func send(_ ciphertext: ByteBuffer, context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        var rest = ciphertext
        if let descriptor, isClear {
            let count = rest.readableBytes
            let sent = rest.withUnsafeReadableBytes { systemSend(descriptor, $0.baseAddress, count, Int32(MSG_NOSIGNAL)) }
            if sent == count {
                promise?.succeed()
                return
            }
            if sent > 0 { rest.moveReaderIndex(forwardBy: sent) }
        }
        queue.writes += 1
        let written = promise ?? context.eventLoop.makePromise()
        written.futureResult.assumeIsolated().whenComplete { [queue] _ in queue.writes -= 1 }
        context.writeAndFlush(NIOAny(rest), promise: written)
    }
}

/// Under a name of its own, for `send` is also what ``TLSWire`` does.
private func systemSend(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int, _ flags: Int32) -> Int {
    send(descriptor, bytes, count, flags)
}

@available(*, unavailable)
extension TLSWire: Sendable {}
