// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayTLS
import NIOCore

/// A connection to a server: sends commands in a pipeline and assigns the replies, which arrive in the same order.
///
/// Used on the client's event loop only. All commands sent during one pass of the loop leave in one write.
final class RedisConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let endpoint: RedisEndpoint
    /// Called once, when commands can be sent: after the TLS handshake, if any.
    var onReady: () -> Void = {}
    /// Called for each reply to a command.
    var onReply: (PendingCommand, RedisReply) -> Void = { $0.complete(with: $1) }
    /// Called for each reply without a command; unless set, such a reply closes the connection.
    var onPush: ((RedisReply) -> Void)?
    /// Called once, with the reason and the commands that have no reply.
    var onClose: (String, Deque<PendingCommand>) -> Void = { reason, commands in
        for command in commands { command.complete(.failure(.interrupted(reason))) }
    }

    private(set) var inFlight: Deque<PendingCommand> = []
    private(set) var isClosed = false

    private let isSecure: Bool
    private let timeout: TimeAmount
    private var parser: RedisParser
    private var output = ByteBuffer()
    private var isFlushScheduled = false
    private var context: ChannelHandlerContext?
    private var isReady = false
    private var reason: String?
    /// When the last reply arrived, or the first command in flight was sent.
    private var lastProgress = NIODeadline.distantPast
    private var isTimerScheduled = false

    /// The largest buffer that is kept for the next write, in bytes.
    private static let maxKeptBytes = 256 * 1024

    init(endpoint: RedisEndpoint, settings: RedisSettings) {
        self.endpoint = endpoint
        isSecure = settings.tls != nil
        timeout = settings.commandTimeout
        parser = RedisParser(limits: settings.replyLimits)
    }

    // MARK: Sending

    /// Sends a command. Its reply is passed to ``onReply``, unless the connection is closed first.
    func send(_ pending: PendingCommand) {
        guard let context, !isClosed else { return pending.complete(.failure(.unavailable("the connection is closed"))) }
        pending.connection = self
        if inFlight.isEmpty { lastProgress = .now() }
        inFlight.append(pending)
        write(pending.command, context)
        scheduleTimer(context)
    }

    /// Sends a command and passes its reply, also an error, to `completion` rather than to ``onReply``.
    func send(_ command: RedisCommand, completion: @escaping (Result<RedisReply, RedisFailure>) -> Void) {
        send(PendingCommand(command, isInternal: true, completion: completion))
    }

    /// Sends a command whose replies are passed to ``onPush``.
    func push(_ command: RedisCommand) {
        guard let context, !isClosed else { return }
        write(command, context)
    }

    private func write(_ command: RedisCommand, _ context: ChannelHandlerContext) {
        command.write(to: &output)
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        context.eventLoop.assumeIsolated().execute { [self] in flush() }
    }

    private func flush() {
        isFlushScheduled = false
        guard let context, !isClosed, output.readableBytes > 0 else { return }
        context.writeAndFlush(wrapOutboundOut(output), promise: nil)
        // The storage is reused if the kernel has accepted all bytes.
        if output.capacity > Self.maxKeptBytes { output = ByteBuffer() } else { output.clear() }
    }

    // MARK: Timeout

    private func scheduleTimer(_ context: ChannelHandlerContext) {
        guard !isTimerScheduled, let head = inFlight.first else { return }
        isTimerScheduled = true
        context.eventLoop.assumeIsolated().scheduleTask(deadline: lastProgress + limit(of: head)) { [self] in checkTimeout() }
    }

    private func checkTimeout() {
        isTimerScheduled = false
        guard let context, !isClosed, let head = inFlight.first else { return }
        if NIODeadline.now() >= lastProgress + limit(of: head) { return close("no reply within \(limit(of: head).text)") }
        scheduleTimer(context)
    }

    private func limit(of pending: PendingCommand) -> TimeAmount { timeout + pending.command.additionalTime }

    // MARK: Receiving

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        do throws(RedisParserFault) {
            while !isClosed, let reply = try parser.next(from: &buffer) { receive(reply) }
        } catch {
            close("\(error)")
        }
        lastProgress = .now()
    }

    private func receive(_ reply: RedisReply) {
        guard let pending = inFlight.popFirst() else {
            guard let onPush else { return close("the server sent a reply without a command") }
            return onPush(reply)
        }
        if pending.isInternal { pending.complete(with: reply) } else { onReply(pending, reply) }
    }

    // MARK: Opening and closing

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if !isSecure, context.channel.isActive { becomeReady() }
    }

    func channelActive(context: ChannelHandlerContext) {
        if !isSecure { becomeReady() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is TLSHandshakeCompleted { becomeReady() }
    }

    private func becomeReady() {
        guard !isReady, !isClosed else { return }
        isReady = true
        onReady()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The end of TCP without close_notify has its own reason.
        if reason == nil, error as? TLSError != .truncated { reason = ConnectionErrorReason.reason(error) }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { end(reason ?? "the server closed the connection") }

    func handlerRemoved(context: ChannelHandlerContext) { end(reason ?? "the connection was closed") }

    /// Closes the connection. Commands without a reply fail before this method returns.
    func close(_ reason: String) {
        guard !isClosed else { return }
        let channel = context?.channel
        end(reason)
        channel?.close(promise: nil)
    }

    private func end(_ reason: String) {
        guard !isClosed else { return }
        isClosed = true
        context = nil
        let commands = inFlight
        inFlight = []
        output = ByteBuffer()
        let onClose = onClose
        // The closures retain the objects that retain this connection.
        (self.onReady, self.onPush, self.onReply, self.onClose) = ({}, nil, { _, _ in }, { _, _ in })
        onClose(reason, commands)
    }
}

@available(*, unavailable)
extension RedisConnection: Sendable {}

extension TimeAmount {
    /// The amount in seconds, such as `2 s` or `0.25 s`.
    var text: String {
        let milliseconds = nanoseconds / 1_000_000
        guard milliseconds % 1000 != 0 else { return "\(milliseconds / 1000) s" }
        return "\(Double(milliseconds) / 1000) s"
    }
}
