import DequeModule
import GatewayCore
import NIOCore

/// The pipes of a worker, on an event loop.
final class WorkerHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var lines: AnswerLines
    private var stream = AnswerStream()
    private var request: UInt64 = 0
    private var hasAnswered = false
    /// Requests that it was given.
    private var requests = 0
    /// It has said something to the request, whatever it is.
    private var hasSpoken = false
    /// Why it takes no request any more: it has spoken unasked, for instance, and is about to be killed.
    private var spoiled: String?
    /// Lines that aren't JSON objects are passed over, until the first that is one.
    private var isInBanner: Bool
    private var bannerBytes = 0
    /// Bytes read since the process has exited; nil while it runs.
    private var restBytes: Int?
    private var hasReadSinceLook = false
    private var receive: (@Sendable (WorkerEvent) -> Void)?
    private let broken: @Sendable () -> Void
    private var context: ChannelHandlerContext?
    private var isPaused = false
    /// Until what was read has been taken on another event loop.
    private var isAwaited = false
    private var wantsRead = false
    private var waiting: Deque<(chunk: [UInt8], isLast: Bool)> = []
    private let report: @Sendable (String) -> Void

    /// Bytes of a banner, at most.
    private static let longestBanner = 262_144
    /// Bytes that a pipe can hold, at most.
    private static let longestRest = 1 << 20
    /// Interval between checks of the pipe of a process that has exited. The event loop reads what the pipe holds within a fraction of this.
    private static let restTime = TimeAmount.milliseconds(100)

    /// - Parameters:
    ///   - ignoresBanner: lines before the first JSON object are passed over
    ///   - broken: called when it says what it shouldn't, or is gone
    ///   - report: called when it has spoken although no request is there to be failed for it, with what is to be said of it
    init(
        limit: Int, ignoresBanner: Bool = false, broken: @escaping @Sendable () -> Void,
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        lines = AnswerLines(limit: limit)
        isInBanner = ignoresBanner
        self.broken = broken
        self.report = report
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    // MARK: From the attempt

    func begin(_ number: UInt64, line: [UInt8], receive: @escaping @Sendable (WorkerEvent) -> Void) {
        request = number
        requests += 1
        (hasAnswered, hasSpoken) = (false, false)
        stream = AnswerStream()
        waiting = []
        self.receive = receive
        (isPaused, isAwaited) = (false, false)
        readIfWanted()
        guard context != nil, spoiled == nil else {
            // Nothing of this request has been written.
            let reason = spoiled ?? "the process has ended"
            guard requests == 1 else { return giveUp(reason) }
            var failure = CallFailure.brokenOff(reason)
            failure.hasReached = false
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
                receive?(.took(chunk.count))
            }
        }
    }

    private func write(_ bytes: [UInt8]) { context?.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil) }

    func setPaused(_ paused: Bool) {
        isPaused = paused
        readIfWanted()
    }

    /// What was read has been taken.
    func readOn() {
        isAwaited = false
        readIfWanted()
    }

    private func readIfWanted() {
        guard wantsRead, !isPaused, !isAwaited else { return }
        wantsRead = false
        context?.read()
    }

    /// Nobody listens any more.
    func forget() {
        receive = nil
        waiting = []
    }

    // MARK: From the process

    func read(context: ChannelHandlerContext) {
        wantsRead = true
        readIfWanted()
    }

    /// Who talks without end isn't read faster than it is heard.
    func channelReadComplete(context: ChannelHandlerContext) {
        if let receive {
            isAwaited = true
            receive(.checkpoint)
        }
        context.fireChannelReadComplete()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        hasReadSinceLook = true
        if let rest = restBytes {
            restBytes = rest + buffer.readableBytes
            guard rest <= Self.longestRest else { return context.close(promise: nil) }
        }
        if isInBanner {
            bannerBytes += buffer.readableBytes
            guard bannerBytes <= Self.longestBanner else {
                return spoil(.unusable(AnswerFault("its banner is longer than \(Self.longestBanner) bytes")))
            }
        } else {
            // Between two requests there is nothing to say.
            guard receive != nil else { return spoil(Self.unasked(buffer.readableBytesSpan)) }
            hasSpoken = true
            receive?(.heard(buffer.readableBytes))
        }
        do throws(AnswerFault) {
            try lines.take(buffer.readableBytesSpan) { (line) throws(AnswerFault) in
                try take(line)
            } onChunk: { (chunk) throws(AnswerFault) in
                guard receive != nil else { throw AnswerFault("it spoke unasked: audio") }
                receive?(.step(.event(try stream.take(chunk: chunk))))
            }
        } catch {
            spoil(.unusable(error))
        }
    }

    /// Fails the request and gives the process up. Without a request, the reason is logged.
    private func spoil(_ failure: CallFailure) {
        guard spoiled == nil else { return }
        let reason = failure.details ?? failure.reason.message
        spoiled = reason
        if receive == nil { report(reason) }
        fail(failure)
    }

    private static func unasked(_ line: RawSpan) -> CallFailure { .unusable(AnswerFault("it spoke unasked: \(LineExcerpt(line))")) }

    /// - Returns: how many bytes of audio follow.
    private func take(_ line: RawSpan) throws(AnswerFault) -> Int {
        if isInBanner || receive != nil, !AnswerMessage.isObject(line) {
            guard isInBanner else { throw AnswerFault("a line isn't a JSON object: \(LineExcerpt(line))") }
            return 0
        }
        if isInBanner {
            isInBanner = false
            guard receive != nil else {
                spoil(Self.unasked(line))
                return 0
            }
            hasSpoken = true
            receive?(.heard(line.byteCount))
        }
        guard receive != nil else {
            spoil(Self.unasked(line))
            return 0
        }
        let message = try CollectedBody.read(line) { (bytes) throws(AnswerFault) in try AnswerMessage(bytes) }
        guard message.request == request else {
            // What is left of an earlier one isn't this one's fault: another process can work on it.
            if let number = message.request, number < request, requests > 1, !hasAnswered {
                giveUp("the process still answered an earlier request")
                return 0
            }
            throw AnswerFault("an answer to another request")
        }
        hasAnswered = true
        var follow = 0
        var last: AnswerStream.Step?
        try stream.take(message) { step in
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
        broken()
    }

    /// The request goes to another process.
    private func giveUp(_ reason: String) {
        end(.stale(reason))
        broken()
    }

    /// The process has exited, but a child of its own holds its output open. Bytes that are in the pipe already are still read.
    func processEnded() {
        guard restBytes == nil, context != nil else { return }
        restBytes = 0
        guard receive != nil else {
            spoiled = spoiled ?? "the process has ended"
            return broken()
        }
        lookForRest()
    }

    private func lookForRest() {
        hasReadSinceLook = false
        context?.eventLoop.assumeIsolated().scheduleTask(in: Self.restTime) { [weak self] in
            guard let self, let context else { return }
            // While reading is paused, the pipe may hold more.
            guard !hasReadSinceLook, !wantsRead, !isPaused, !isAwaited else { return lookForRest() }
            context.close(promise: nil)
        }
    }

    /// Nothing follows that would be the request's.
    private func end(_ event: WorkerEvent) {
        let receive = receive
        self.receive = nil
        isPaused = false
        readOn()
        receive?(event)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { writeWaiting() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A pipe that nobody reads any more: the end of the process follows.
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        spoiled = spoiled ?? "the process has ended"
        // As a program does that exits behind each answer: it hasn't got to this one.
        if requests > 1, !hasSpoken { giveUp("the process has ended") } else { fail(.brokenOff("the process has ended")) }
        context.fireChannelInactive()
    }
}
