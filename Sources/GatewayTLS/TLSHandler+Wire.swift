// SPDX-License-Identifier: Apache-2.0

import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Sends ciphertext: directly to the kernel while the kernel accepts everything, otherwise through the channel's queue of pending writes.
///
/// The reply to a message is written while the event loop handles its read, and fits into the socket's buffer unless the peer is slow. Then
/// a single `send` suffices, whereas the queue, whose entries are boxed and reference-counted, costs more than the encryption. Order is
/// preserved: nothing is sent directly while the queue isn't empty. Errors are ignored here: bytes that the kernel doesn't accept are
/// queued, and the channel encounters and handles the same error.
extension TLSHandler {
    /// Returns the channel's socket; nil if it has none, as in tests.
    func findDescriptor(_ context: ChannelHandlerContext) -> NIOBSDSocket.Handle? {
        // Throws only for a closed channel, which never becomes active.
        try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { $0 }
    }

    func transmit(_ ciphertext: ByteBuffer, context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        var rest = ciphertext
        // A channel becomes inactive together with closing its descriptor, so the descriptor of an active channel is valid.
        if queuedWrites == 0, let descriptor, context.channel.isActive {
            let count = rest.readableBytes
            let sent = rest.withUnsafeReadableBytes { sendNow($0, to: descriptor) }
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

/// Returns the number of bytes that the kernel accepted; negative on an error. A global function, because methods of the handler shadow the
/// system's functions.
private func sendNow(_ bytes: UnsafeRawBufferPointer, to descriptor: NIOBSDSocket.Handle) -> Int {
    send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
}
