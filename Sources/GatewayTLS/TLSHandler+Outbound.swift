// SPDX-License-Identifier: Apache-2.0

package import NIOCore

extension TLSHandler {
    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard phase != .closed, phase != .rejected else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        guard !isOutputClosed, deferredOutputClose == nil else {
            promise?.fail(TLSError.outputClosed)
            return
        }
        // An idle connection has no storage for writes and borrows the event loop's.
        if writes.capacity == 0 { swap(&writes, &buffers.spareWrites) }
        writes.append(PendingTLSWrite(buffer: unwrapOutboundIn(data), promise: promise))
    }

    package func flush(context: ChannelHandlerContext) {
        flushedWrites = writes.count
        sealFlushed(context)
    }

    // MARK: Direct writes

    /// Whether the kernel has accepted all previous bytes, and further bytes can be sent to it directly.
    package var canSendDirectly: Bool {
        phase == .established && !isOutputClosed && writes.isEmpty && queuedWrites == 0 && descriptor != nil
    }

    /// Encrypts and sends without passing the pipeline, as ``PlaintextReceiver`` does for inbound bytes. Bytes that the kernel doesn't
    /// accept are queued in the channel and affect its writability.
    package func send(plaintext: ByteBuffer) {
        guard let context else { return }
        guard phase == .established, !isOutputClosed, !isSealing, writes.isEmpty,
            1...TLSBuffers.recordSize ~= plaintext.readableBytes
        else {
            write(context: context, data: wrapInboundOut(plaintext), promise: nil)
            return flush(context: context)
        }
        buffers.expectCiphertext(plaintext.readableBytes + TLSBuffers.recordOverhead)
        let failure = plaintext.withUnsafeReadableBytes { connection.seal($0) }
        sendCiphertext(context)
        if let failure { fail(context, failure) }
    }

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        switch mode {
        case .all:
            sendCloseNotify(context)
            phase = .closed
            failWrites(ChannelError.ioOnClosedChannel)
            context.close(mode: .all, promise: promise)
        case .output:
            closeOutput(context, promise: promise)
        case .input:
            context.close(mode: .input, promise: promise)
        }
    }

    /// Sends close_notify and closes TCP's sending side. Unflushed writes fail, as without TLS.
    func closeOutput(_ context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        switch phase {
        case .waiting, .handshaking:
            guard deferredOutputClose == nil else {
                promise?.fail(ChannelError.outputClosed)
                return
            }
            deferredOutputClose = DeferredClose(promise: promise)
        case .established:
            guard !isOutputClosed else {
                promise?.fail(ChannelError.outputClosed)
                return
            }
            sendCloseNotify(context)
            failWrites(ChannelError.outputClosed)
            context.close(mode: .output, promise: promise)
        case .rejected, .closed:
            context.close(mode: .output, promise: promise)
        }
    }

    private func sendCloseNotify(_ context: ChannelHandlerContext) {
        // Before the end of the handshake there is nothing to close, and OpenSSL would fail.
        guard phase == .established, !isOutputClosed else { return }
        isOutputClosed = true
        buffers.expectCiphertext(64)
        connection.shutdown()
        sendCiphertext(context)
    }

    // MARK: Sealing

    /// Encrypts all flushed writes and sends them in chunks of at most ``TLSBuffers/capacity`` bytes.
    func sealFlushed(_ context: ChannelHandlerContext) {
        // A promise that completes in `transmit` may write and flush again; the outer call handles these writes, too.
        guard !isSealing else { return }
        isSealing = true
        while sealedWrites < flushedWrites, phase == .established, !isOutputClosed {
            var promise: EventLoopPromise<Void>?
            let failure = sealChunk(&promise)
            let ciphertext = buffers.takeCiphertext()
            if let failure {
                if let ciphertext { transmit(ciphertext, context: context, promise: nil) }
                promise?.fail(failure)
                fail(context, failure)
                break
            }
            if let ciphertext {
                transmit(ciphertext, context: context, promise: promise)
            } else if promise != nil {
                // Empty writes send nothing, but their promises complete in order.
                transmit(ByteBuffer(), context: context, promise: promise)
            }
        }
        isSealing = false
        releaseSealed()
    }

    /// Fills the event loop's buffer with records. `promise` is set to complete all writes that end in them.
    private func sealChunk(_ promise: inout EventLoopPromise<Void>?) -> TLSError? {
        let room = TLSBuffers.capacity - TLSBuffers.recordSize - TLSBuffers.recordOverhead
        buffers.expectCiphertext(expectedCiphertext())
        repeat {
            let first = writes[sealedWrites].buffer.readableBytes
            let failure =
                if first >= TLSBuffers.recordSize || sealedWrites + 1 == flushedWrites {
                    sealFirst(&promise)
                } else {
                    sealCoalesced(&promise)
                }
            if let failure { return failure }
        } while sealedWrites < flushedWrites && buffers.ciphertextBytes <= room
        return nil
    }

    /// Encrypts one record directly from the first write.
    private func sealFirst(_ promise: inout EventLoopPromise<Void>?) -> TLSError? {
        var failure: TLSError?
        writes[sealedWrites].buffer.readWithUnsafeReadableBytes { bytes in
            let count = min(bytes.count, TLSBuffers.recordSize)
            guard count > 0 else { return 0 }
            failure = connection.seal(UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
            return count
        }
        if writes[sealedWrites].buffer.readableBytes == 0 { finishFirst(&promise) }
        return failure
    }

    /// Encrypts one record from several writes.
    private func sealCoalesced(_ promise: inout EventLoopPromise<Void>?) -> TLSError? {
        buffers.record.clear()
        while sealedWrites < flushedWrites {
            let space = TLSBuffers.recordSize - buffers.record.readableBytes
            guard space > 0 else { break }
            let count = min(space, writes[sealedWrites].buffer.readableBytes)
            writes[sealedWrites].buffer.readWithUnsafeReadableBytes { bytes in
                buffers.record.writeBytes(UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
                return count
            }
            if writes[sealedWrites].buffer.readableBytes == 0 { finishFirst(&promise) }
        }
        guard buffers.record.readableBytes > 0 else { return nil }
        return buffers.record.withUnsafeReadableBytes { connection.seal($0) }
    }

    private func finishFirst(_ promise: inout EventLoopPromise<Void>?) {
        if let own = writes[sealedWrites].promise {
            if let carrier = promise {
                carrier.futureResult.cascade(to: own)
            } else {
                promise = own
            }
        }
        writes[sealedWrites].buffer = ByteBuffer()
        sealedWrites += 1
    }

    private func expectedCiphertext() -> Int {
        var bytes = TLSBuffers.recordOverhead
        var index = sealedWrites
        while index < flushedWrites, bytes < TLSBuffers.capacity {
            bytes += min(writes[index].buffer.readableBytes, TLSBuffers.capacity)
            index += 1
        }
        return bytes + (bytes / TLSBuffers.recordSize) * TLSBuffers.recordOverhead
    }

    /// Removes the sealed writes, and returns the storage to the event loop when no write is pending.
    private func releaseSealed() {
        guard sealedWrites > 0 else { return }
        if sealedWrites < writes.count {
            writes.removeSubrange(0..<sealedWrites)
            flushedWrites -= sealedWrites
        } else {
            recycleWrites()
            flushedWrites = 0
        }
        sealedWrites = 0
    }

    private func recycleWrites() {
        writes.removeAll(keepingCapacity: true)
        if buffers.spareWrites.capacity == 0, writes.capacity <= 256 {
            swap(&writes, &buffers.spareWrites)
        } else {
            writes = []
        }
    }

    /// Fails all writes that aren't sealed.
    func failWrites(_ error: any Error) {
        if let close = deferredOutputClose {
            deferredOutputClose = nil
            close.promise?.fail(error)
        }
        guard !writes.isEmpty else { return }
        // A failing promise may write again, so the list must be consistent first.
        let failed = writes[min(sealedWrites, writes.count)...]
        writes = []
        flushedWrites = 0
        sealedWrites = 0
        for write in failed { write.promise?.fail(error) }
    }
}
