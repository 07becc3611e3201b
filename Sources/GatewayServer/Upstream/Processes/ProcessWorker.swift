import GatewayCore
import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Beside methods that are called `kill`.
private func sendSignal(_ signal: Int32, toGroup group: pid_t) { _ = kill(-group, signal) }

/// What a worker says, on the event loop of whoever has it at work.
enum WorkerEvent: Sendable {
    /// It takes the request.
    case ready
    case heard
    case step(AnswerStream.Step)
    /// So many bytes of audio are on their way.
    case took(Int)
    /// More is read when this has been heard of, and answered by ``WorkerHandler/readOn()``.
    case checkpoint
    case failed(CallFailure)
}

/// A process that works on one request at a time. Its pipes are a channel; it may be used from any event loop.
final class ProcessWorker: Sendable {
    struct State {
        var identifier: pid_t = 0
        var channel: (any Channel)?
        var handler: NIOLoopBound<WorkerHandler>?
        var isKilled = false
        var served = 0
        var idleSince = NIODeadline.now()
    }

    let number: UInt64
    private let state = Mutex(State())

    init(number: UInt64) { self.number = number }

    var served: Int { state.withLock { $0.served } }
    var idleSince: NIODeadline { state.withLock { $0.idleSince } }
    var isKilled: Bool { state.withLock { $0.isKilled } }

    func count() { state.withLock { $0.served += 1 } }
    func rest() { state.withLock { $0.idleSince = .now() } }

    /// The process is there. False when it was killed before.
    func started(_ identifier: pid_t, channel: any Channel, handler: NIOLoopBound<WorkerHandler>) -> Bool {
        state.withLock { state in
            guard !state.isKilled else { return false }
            (state.identifier, state.channel, state.handler) = (identifier, channel, handler)
            return true
        }
    }

    /// The process is being reaped: its number isn't its own any more.
    func reaped() {
        state.withLock { state in
            state.isKilled = true
            state.identifier = 0
            // The handler knows the worker, too.
            (state.channel, state.handler) = (nil, nil)
        }
    }

    var handler: NIOLoopBound<WorkerHandler>? { state.withLock { $0.handler } }

    /// Kills it and all of its process group at once; what has left that follows when its service sees the channel closed.
    func kill() {
        let channel = state.withLock { state -> (any Channel)? in
            guard !state.isKilled else { return nil }
            state.isKilled = true
            // Nobody has reaped it so far, so that the number is its own.
            if state.identifier > 0 { sendSignal(SIGKILL, toGroup: state.identifier) }
            return state.channel
        }
        channel?.close(promise: nil)
    }
}

/// The pipes of a worker, on an event loop.
final class WorkerHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var lines: AnswerLines
    private var stream = AnswerStream()
    private var request: UInt64 = 0
    private var hasAnswered = false
    /// It has spoken unasked, and is about to be killed.
    private var isSpoiled = false
    private var receive: (@Sendable (WorkerEvent) -> Void)?
    private let broken: @Sendable () -> Void
    private var context: ChannelHandlerContext?
    private var isPaused = false
    /// Until what was read has been taken on another event loop.
    private var isAwaited = false
    private var wantsRead = false
    private var waiting: [(chunk: [UInt8], isLast: Bool)] = []

    /// - Parameter broken: called when it says what it shouldn't, or is gone
    init(limit: Int, broken: @escaping @Sendable () -> Void) {
        lines = AnswerLines(limit: limit)
        self.broken = broken
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    // MARK: From the attempt

    func begin(_ number: UInt64, line: [UInt8], receive: @escaping @Sendable (WorkerEvent) -> Void) {
        request = number
        hasAnswered = false
        stream = AnswerStream()
        waiting = []
        self.receive = receive
        (isPaused, isAwaited) = (false, false)
        readIfWanted()
        guard context != nil, !isSpoiled else {
            // Nothing of this request has been written.
            var failure = CallFailure.brokenOff("the process has ended")
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
        while context.channel.isWritable, !waiting.isEmpty {
            let (chunk, isLast) = waiting.removeFirst()
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
        // Between two requests there is nothing to say.
        guard receive != nil else {
            isSpoiled = true
            return broken()
        }
        receive?(.heard)
        do throws(AnswerFault) {
            try lines.take(buffer.readableBytesSpan) { (line) throws(AnswerFault) in
                try take(line)
            } onChunk: { (chunk) throws(AnswerFault) in
                guard receive != nil else { throw AnswerFault("there is something behind the end of the answer") }
                receive?(.step(.event(try stream.take(chunk: chunk))))
            }
        } catch {
            fail(CallFailure(error))
        }
    }

    /// - Returns: how many bytes of audio follow.
    private func take(_ line: RawSpan) throws(AnswerFault) -> Int {
        guard receive != nil else { throw AnswerFault("there is something behind the end of the answer") }
        let message = try CollectedBody.read(line) { (bytes) throws(AnswerFault) in try AnswerMessage(bytes) }
        guard message.request == request else {
            // What is left of an earlier one isn't this one's fault: another process can work on it.
            if let number = message.request, number < request, !hasAnswered {
                var failure = CallFailure.brokenOff("the process still answered an earlier request")
                failure.hasReached = false
                fail(failure)
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
        fail(.brokenOff("the process has ended"))
        context.fireChannelInactive()
    }
}
