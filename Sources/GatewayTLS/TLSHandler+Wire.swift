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
extension TLSHandler {
    /// The channel's own socket; nil where it has none, as in tests.
    func findDescriptor(_ context: ChannelHandlerContext) -> NIOBSDSocket.Handle? {
        // Throws only for a channel that is closed already, which never becomes active.
        try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { $0 }
    }

    func transmit(_ ciphertext: ByteBuffer, context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        var rest = ciphertext
        // A channel becomes inactive in the same step as its descriptor is closed, so an active one's is its own.
        if queuedWrites == 0, let descriptor, context.channel.isActive {
            let count = rest.readableBytes
            let sent = rest.withUnsafeReadableBytes { hand($0, to: descriptor) }
            if sent == count {
                promise?.succeed()
                return
            }
            if sent > 0 { rest.moveReaderIndex(forwardBy: sent) }
        }
        queuedWrites += 1
        let written = promise ?? context.eventLoop.makePromise()
        written.futureResult.assumeIsolated().whenComplete { [self] _ in queuedWrites -= 1 }
        context.writeAndFlush(wrapOutboundOut(rest), promise: written)
    }
}

/// How many bytes the kernel took, negative when none; outside of the handler, whose own methods hide the system's names.
private func hand(_ bytes: UnsafeRawBufferPointer, to descriptor: NIOBSDSocket.Handle) -> Int {
    send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
}
