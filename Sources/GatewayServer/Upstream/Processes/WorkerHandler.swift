// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore
import NIOCore

/// The channel handler for a worker's pipes, on one event loop. Writes requests and parses responses.
final class WorkerHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var lines: ResponseLines
    private var stream = ResponseStream()
    private var request: UInt64 = 0
    private var hasResponded = false
    /// Number of requests that the worker has been given.
    private var requests = 0
    /// Whether the worker has written anything since the request.
    private var hasOutput = false
    /// The reason why the worker accepts no more requests, for example unsolicited output; nil while it does. An unusable worker is killed.
    private var unusableReason: String?
    /// Whether lines are skipped until the first JSON object.
    private var isInBanner: Bool
    private var bannerBytes = 0
    /// Bytes read since the process exited; nil while it runs.
    private var bytesAfterExit: Int?
    private var hasReadSinceCheck = false
    private var receive: (@Sendable (WorkerEvent) -> Void)?
    private let onUnusable: @Sendable () -> Void
    private var context: ChannelHandlerContext?
    private var isPaused = false
    /// Whether the next read waits for ``allowNextRead()``.
    private var isAwaitingCheckpoint = false
    private var wantsRead = false
    private var waiting: Deque<(chunk: [UInt8], isLast: Bool)> = []
    private let report: @Sendable (String) -> Void

    /// Maximum size of a banner, in bytes.
    private static let maxBannerBytes = 262_144
    /// Maximum capacity of a pipe, in bytes.
    private static let pipeBytes = 1 << 20
    /// Interval between checks of an exited process's pipe. The event loop needs a fraction of this to read a full pipe.
    private static let exitCheckInterval = TimeAmount.milliseconds(100)

    /// - Parameters:
    ///   - ignoresBanner: whether lines before the first JSON object are skipped
    ///   - onUnusable: called when the worker has become unusable
    ///   - report: called with the reason when the worker becomes unusable while it has no request
    init(
        limit: Int, ignoresBanner: Bool = false, onUnusable: @escaping @Sendable () -> Void,
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        lines = ResponseLines(limit: limit)
        isInBanner = ignoresBanner
        self.onUnusable = onUnusable
        self.report = report
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    // MARK: From the attempt

    func begin(_ number: UInt64, line: [UInt8], receive: @escaping @Sendable (WorkerEvent) -> Void) {
        request = number
        requests += 1
        (hasResponded, hasOutput) = (false, false)
        stream = ResponseStream()
        waiting = []
        self.receive = receive
        (isPaused, isAwaitingCheckpoint) = (false, false)
        readIfWanted()
        guard context != nil, unusableReason == nil else {
            // No part of this request has been written.
            let reason = unusableReason ?? "the process has ended"
            guard requests == 1 else { return endAsStale(reason) }
            var failure = CallFailure.incompleteResponse(reason)
            failure.mayHaveBeenProcessed = false
            return fail(failure)
        }
        write(line)
        receive(.ready)
    }

    func send(_ chunk: [UInt8]) {
        waiting.append((chunk, false))
        writeWaiting()
    }

    func endInput() {
        waiting.append(([], true))
        writeWaiting()
    }

    private func writeWaiting() {
        guard let context else { return }
        while context.channel.isWritable, let (chunk, isLast) = waiting.popFirst() {
            if isLast {
                write(Array("{\"type\":\"audio\",\"request\":\(request),\"final\":true}\n".utf8))
            } else {
                write(Array("{\"type\":\"chunk\",\"request\":\(request),\"bytes\":\(chunk.count)}\n".utf8) + chunk)
                receive?(.consumed(chunk.count))
            }
        }
    }

    private func write(_ bytes: [UInt8]) { context?.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil) }

    func setPaused(_ paused: Bool) {
        isPaused = paused
        readIfWanted()
    }

    /// Allows the next read after a ``WorkerEvent/checkpoint``.
    func allowNextRead() {
        isAwaitingCheckpoint = false
        readIfWanted()
    }

    private func readIfWanted() {
        guard wantsRead, !isPaused, !isAwaitingCheckpoint else { return }
        wantsRead = false
        context?.read()
    }

    /// Detaches the attempt. No more events are reported.
    func detach() {
        receive = nil
        waiting = []
    }

    // MARK: From the process

    func read(context: ChannelHandlerContext) {
        wantsRead = true
        readIfWanted()
    }

    /// Pauses reading until the attempt, possibly on another event loop, has handled the events of this read.
    func channelReadComplete(context: ChannelHandlerContext) {
        if let receive {
            isAwaitingCheckpoint = true
            receive(.checkpoint)
        }
        context.fireChannelReadComplete()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        hasReadSinceCheck = true
        if let rest = bytesAfterExit {
            bytesAfterExit = rest + buffer.readableBytes
            guard rest <= Self.pipeBytes else { return context.close(promise: nil) }
        }
        if isInBanner {
            bannerBytes += buffer.readableBytes
            guard bannerBytes <= Self.maxBannerBytes else {
                return markUnusable(.unusable(ResponseFault("the banner is longer than \(Self.maxBannerBytes) bytes")))
            }
        } else {
            // Output between requests is a protocol violation.
            guard receive != nil else { return markUnusable(Self.unsolicited(buffer.readableBytesSpan)) }
            hasOutput = true
            receive?(.read(buffer.readableBytes))
        }
        do throws(ResponseFault) {
            try lines.receive(buffer.readableBytesSpan) { (line) throws(ResponseFault) in
                try parse(line)
            } onChunk: { (chunk) throws(ResponseFault) in
                guard receive != nil else { throw ResponseFault("unsolicited output: audio") }
                receive?(.step(.event(try stream.receive(chunk: chunk))))
            }
        } catch {
            markUnusable(.unusable(error))
        }
    }

    /// Marks the worker unusable and fails its request. Without a request, logs the reason.
    private func markUnusable(_ failure: CallFailure) {
        guard unusableReason == nil else { return }
        let reason = failure.details ?? failure.reason.message
        unusableReason = reason
        if receive == nil { report(reason) }
        fail(failure)
    }

    private static func unsolicited(_ line: RawSpan) -> CallFailure { .unusable(ResponseFault("unsolicited output: \(LineExcerpt(line))")) }

    /// Parses a line.
    ///
    /// - Returns: the number of bytes of audio that follow it
    private func parse(_ line: RawSpan) throws(ResponseFault) -> Int {
        if isInBanner || receive != nil, !UpstreamMessage.isObject(line) {
            guard isInBanner else { throw ResponseFault("a line isn't a JSON object: \(LineExcerpt(line))") }
            return 0
        }
        if isInBanner {
            isInBanner = false
            guard receive != nil else {
                markUnusable(Self.unsolicited(line))
                return 0
            }
            hasOutput = true
            receive?(.read(line.byteCount))
        }
        guard receive != nil else {
            markUnusable(Self.unsolicited(line))
            return 0
        }
        let message = try CollectedBody.read(line) { (bytes) throws(ResponseFault) in try UpstreamMessage(bytes) }
        guard message.request == request else {
            // This is the rest of an earlier response. Another worker can serve the request.
            if let number = message.request, number < request, requests > 1, !hasResponded {
                endAsStale("the process was still responding to an earlier request")
                return 0
            }
            throw ResponseFault("a response to another request")
        }
        hasResponded = true
        var follow = 0
        var last: ResponseStream.Step?
        try stream.receive(message) { step in
            switch step {
            case .event: receive?(.step(step))
            case .last, .failed: last = step
            case .chunk(let bytes): follow = bytes
            }
        }
        if let last { end(.step(last)) }
        return follow
    }

    private func fail(_ failure: CallFailure) {
        end(.failed(failure))
        onUnusable()
    }

    /// Ends the request as stale, so that another worker serves it.
    private func endAsStale(_ reason: String) {
        end(.stale(reason))
        onUnusable()
    }

    /// Handles the exit of a process whose output is kept open by a child. Bytes that are already in the pipe are still read.
    func processExited() {
        guard bytesAfterExit == nil, context != nil else { return }
        bytesAfterExit = 0
        guard receive != nil else {
            unusableReason = unusableReason ?? "the process has ended"
            return onUnusable()
        }
        scheduleExitCheck()
    }

    private func scheduleExitCheck() {
        hasReadSinceCheck = false
        context?.eventLoop.assumeIsolated().scheduleTask(in: Self.exitCheckInterval) { [weak self] in
            guard let self, let context else { return }
            // While reading is paused, the pipe may still contain data.
            guard !hasReadSinceCheck, !wantsRead, !isPaused, !isAwaitingCheckpoint else { return scheduleExitCheck() }
            context.close(promise: nil)
        }
    }

    /// Ends the request with its last event and resumes reading.
    private func end(_ event: WorkerEvent) {
        let receive = receive
        self.receive = nil
        isPaused = false
        allowNextRead()
        receive?(event)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { writeWaiting() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Writing failed because the process has closed its input; it is about to exit.
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        unusableReason = unusableReason ?? "the process has ended"
        // A reused worker that exits without output hasn't read this request. Some programs exit after each response.
        if requests > 1, !hasOutput { endAsStale("the process has ended") } else { fail(.incompleteResponse("the process has ended")) }
        context.fireChannelInactive()
    }
}
