import GatewayCore
import Logging
import NIOCore

/// The connections of one event loop to the endpoints of a `websocket` upstream.
final class MultiplexMaker: ServiceLoop {
    private let configuration: GatewayConfiguration.Upstream
    private let connector: SocketConnector
    private let pool: UpstreamPool
    private let loop: CallLoop
    private let logger: Logger
    private var connections: [[MultiplexConnection]]
    private var isRetired = false

    init(
        _ configuration: GatewayConfiguration.Upstream, connector: SocketConnector, pool: UpstreamPool, loop: CallLoop, logger: Logger
    ) {
        self.configuration = configuration
        self.connector = connector
        self.pool = pool
        self.loop = loop
        self.logger = logger
        connections = configuration.urls.map { _ in [] }
    }

    func makeAttempt(_ order: CallOrder, endpoint: Int, receiver: any AttemptReceiver) -> any UpstreamAttempt {
        let attempt = MultiplexAttempt(order, receiver: receiver)
        if let connection = connection(to: endpoint) {
            connection.add(attempt)
            if isRetired { connection.retire() }
        } else {
            var failure = CallFailure(.upstreamUnavailable, "too many requests are on their way to the upstream")
            (failure.hasReached, failure.outcome) = (false, .neither)
            attempt.fail(failure)
        }
        return attempt
    }

    /// The one with the fewest requests; another one where there may be, and those there are have work. Nil when all are full.
    private func connection(to endpoint: Int) -> MultiplexConnection? {
        var best: MultiplexConnection?
        var usable = 0
        for connection in connections[endpoint] where connection.takesMore {
            usable += 1
            if best.map({ connection.count < $0.count }) ?? true { best = connection }
        }
        if let best, best.count == 0 || usable >= configuration.connectionsPerLoop {
            return best.count < GatewaySizes.orOff(configuration.maxConnections) ? best : nil
        }
        let made = MultiplexConnection(pool: pool, at: loop.now) { [weak self] connection in
            self?.connections[endpoint].removeAll { $0 === connection }
        }
        connections[endpoint].append(made)
        made.connect(connector, endpoint: endpoint)
        return made
    }

    func tell(_ state: ClientMessage.Status.State, of session: ULID, replyTo: MessageID?, playedMilliseconds: Int64?) {
        var message = Array("{\"type\":\"status\",\"session\":".utf8)
        message.append(quoted: session)
        message += ",\"state\":\"\(state.rawValue)\"".utf8
        if let replyTo {
            message.append(",\"reply_to\":")
            message.append(quoted: replyTo)
        }
        if let playedMilliseconds {
            message.append(",\"played_ms\":")
            message.append(decimal: playedMilliseconds)
        }
        message.append(UInt8(ascii: "}"))
        // Whom its last request went to knows the session.
        let known = connections.joined().first { $0.lastSessions.contains(session) }
        known?.write(message)
    }

    func tick(now: Instant) {
        for group in connections {
            for connection in group {
                connection.tick(
                    now: now, idleClose: GatewaySizes.orOff(configuration.idleClose), maxAge: GatewaySizes.orOff(configuration.maxAge))
            }
        }
    }

    func retire() {
        isRetired = true
        for connection in connections.joined() { connection.retire() }
    }

    func close() {
        for connection in connections.joined() { connection.close(.unreachable("the upstream is no longer configured")) }
    }
}

/// A WebSocket that many requests share, each under a number of its own. Upstream page, section "WebSocket".
private final class MultiplexConnection: SocketOwner {
    private let pool: UpstreamPool
    private let gone: (MultiplexConnection) -> Void
    private var connecting: ConnectAttempt?
    private var socket: UpstreamSocketHandler?
    private var isOpen = false
    private var isOver = false
    private var isRetired = false
    private var streams: [UInt64: MultiplexAttempt] = [:]
    private var lastNumber: UInt64 = 0
    private let madeAt: Instant
    private var idleSince: Instant?
    private var pingedAt: NIODeadline?
    /// Whose requests went here lately.
    private(set) var lastSessions: Set<ULID> = []

    /// Without a byte for so long, a connection is asked whether it is still there, and given up without an answer within as long.
    private static let quietTime = TimeAmount.seconds(10)
    private static let sessionsKept = 10_000

    init(pool: UpstreamPool, at now: Instant, gone: @escaping (MultiplexConnection) -> Void) {
        self.pool = pool
        self.gone = gone
        madeAt = now
        idleSince = now
    }

    var count: Int { streams.count }
    /// Numbers are as long as the prefix of binary messages.
    var takesMore: Bool { !isOver && !isRetired && lastNumber < UInt64(UInt32.max) }

    func connect(_ connector: SocketConnector, endpoint: Int) {
        connecting = connector.connect(endpoint: endpoint, owner: self) { [weak self] socket in
            self?.socket = socket
        } failed: { [weak self] failure in
            self?.close(failure)
        }
    }

    func add(_ attempt: MultiplexAttempt) {
        lastNumber += 1
        streams[lastNumber] = attempt
        idleSince = nil
        attempt.number = lastNumber
        attempt.connection = self
        if lastSessions.count >= Self.sessionsKept { lastSessions = [] }
        lastSessions.insert(attempt.order.session)
        if isOpen { begin(attempt) }
    }

    private func begin(_ attempt: MultiplexAttempt) {
        var message: [UInt8] = []
        message.reserveCapacity(256 + attempt.order.textBytes * 17 / 16)
        message.append(UInt8(ascii: "{"))
        message.append(head: attempt.order, number: attempt.number)
        switch attempt.order.input {
        case .text(let text):
            message.append(",\"text\":")
            message.append(jsonString: text)
        case .stream(let format), .recording(let format, _):
            message.append(",\"format\":")
            message.append(format)
        }
        message.append(UInt8(ascii: "}"))
        write(message)
        attempt.opened()
    }

    var isWritable: Bool { socket?.isWritable ?? false }

    func write(_ message: [UInt8]) { socket?.write(text: message) }

    func write(_ chunk: [UInt8], of number: UInt64) { socket?.write(binary: chunk, prefix: UInt32(truncatingIfNeeded: number)) }

    /// Takes no more requests, and closes with the last.
    func retire() {
        isRetired = true
        if streams.isEmpty { close(nil) }
    }

    func remove(_ number: UInt64) {
        streams[number] = nil
        if streams.isEmpty, isRetired { close(nil) }
    }

    func tick(now: Instant, idleClose: Int64, maxAge: Int64) {
        guard isOpen, let socket else { return }
        if now.nanoseconds(since: madeAt) >= maxAge { isRetired = true }
        if streams.isEmpty {
            let since = idleSince ?? now
            idleSince = since
            if isRetired || now.nanoseconds(since: since) >= idleClose { return close(nil) }
        }
        let quiet = NIODeadline.now() - socket.lastHeard
        guard quiet >= Self.quietTime else { return pingedAt = nil }
        if let pingedAt {
            if NIODeadline.now() - pingedAt >= Self.quietTime { close(.brokenOff("no answer to a ping")) }
        } else {
            pingedAt = .now()
            socket.ping()
        }
    }

    func close(_ failure: CallFailure?) {
        guard !isOver else { return }
        isOver = true
        connecting?.cancel()
        connecting = nil
        if isOpen { pool.count { $0.connections -= 1 } }
        isOpen = false
        socket?.close()
        socket = nil
        gone(self)
        let all = streams
        streams = [:]
        var failure = failure ?? .brokenOff("closed in the middle of an answer")
        // Whose fault it was can't be told when there are several: to all of them, the answer has broken off.
        if all.count > 1, failure.hasReached {
            let outcome = failure.outcome
            failure = .brokenOff(failure.details)
            failure.outcome = outcome
        }
        for (_, attempt) in all.sorted(by: { $0.key < $1.key }) {
            attempt.fail(failure)
            // One connection that is lost is one failure, however many were on it.
            failure.outcome = .neither
        }
    }

    // MARK: From the socket

    func socketOpened() {
        connecting = nil
        isOpen = true
        pool.count { $0.connections += 1 }
        for (_, attempt) in streams.sorted(by: { $0.key < $1.key }) where !isOver { begin(attempt) }
    }

    func socket(text: RawSpan) {
        let message: AnswerMessage
        do throws(AnswerFault) {
            message = try AnswerMessage(text)
        } catch {
            // What can be told apart costs the request that it was for, anything else all that are on the connection.
            guard let number = error.request else { return close(CallFailure(error)) }
            streams[number]?.fault(CallFailure(error))
            return
        }
        guard let number = message.request else { return close(.invalid("a message without a request")) }
        // Of a request that was cancelled, or never was.
        streams[number]?.take(message)
    }

    func socket(binary: RawSpan) {
        guard binary.byteCount > 4 else { return close(.invalid("a binary message without a request")) }
        let number = UInt64(UInt32(bigEndian: binary.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt32.self)))
        guard let attempt = streams[number] else { return }
        attempt.take(chunk: binary.extracting(4..<binary.byteCount).withUnsafeBytes { Array($0) })
    }

    func socketIsWritable() {
        for attempt in streams.values { attempt.writeWaiting() }
    }

    func socketClosed(_ failure: CallFailure?) { close(failure) }
}

/// One request on a shared connection.
private final class MultiplexAttempt: UpstreamAttempt {
    let order: CallOrder
    private let receiver: any AttemptReceiver
    var number: UInt64 = 0
    weak var connection: MultiplexConnection?
    private var stream = AnswerStream()
    private var isOver = false
    private var isPaused = false
    private var bytesWhilePaused = 0
    private var waiting: [[UInt8]] = []
    private var hasInputEnded = false

    /// What an upstream may send after it was asked to pause: what was on its way, and not more than can be kept.
    private static let mostWhilePaused = 1 << 20

    init(_ order: CallOrder, receiver: any AttemptReceiver) {
        self.order = order
        self.receiver = receiver
    }

    func opened() {
        guard !isOver else { return }
        receiver.connected()
        guard case .recording(let format, let recording) = order.input, !isOver else { return }
        AnswerStream.cut(recording, format: format) { send($0) }
        endInput()
    }

    func send(_ chunk: [UInt8]) {
        guard !isOver, !hasInputEnded else { return }
        waiting.append(chunk)
        writeWaiting()
    }

    func endInput() {
        guard !isOver, !hasInputEnded else { return }
        hasInputEnded = true
        writeWaiting()
    }

    private var hasSentEnd = false

    func writeWaiting() {
        guard !isOver, let connection, order.isStreamed || order.isRecording else { return }
        while connection.isWritable, !waiting.isEmpty {
            let chunk = waiting.removeFirst()
            connection.write(chunk, of: number)
            if order.isStreamed { receiver.took(chunk.count) }
        }
        guard hasInputEnded, waiting.isEmpty, !hasSentEnd else { return }
        hasSentEnd = true
        write("audio", ",\"final\":true")
    }

    func pause() {
        guard !isOver, !isPaused else { return }
        isPaused = true
        bytesWhilePaused = 0
        write("pause")
    }

    func resume() {
        guard !isOver, isPaused else { return }
        isPaused = false
        write("resume")
    }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        guard !isOver else { return }
        var fields = ",\"reason\":\"\(reason.rawValue)\""
        if let playedMilliseconds { fields += ",\"played_ms\":\(playedMilliseconds)" }
        write("cancel", fields)
        leave()
    }

    private func write(_ type: String, _ fields: String = "") {
        connection?.write(Array("{\"type\":\"\(type)\",\"request\":\(number)\(fields)}".utf8))
    }

    private func leave() {
        isOver = true
        waiting = []
        connection?.remove(number)
        connection = nil
    }

    // MARK: From the connection

    func take(_ message: consuming AnswerMessage) {
        guard !isOver else { return }
        receiver.heard()
        do throws(AnswerFault) {
            if case .chunk = message.body { throw AnswerFault("audio comes in binary messages here") }
            try stream.take(message, pass)
        } catch {
            fault(CallFailure(error))
        }
    }

    func take(chunk: [UInt8]) {
        guard !isOver else { return }
        receiver.heard()
        do throws(AnswerFault) {
            pass(.event(try stream.take(chunk: chunk)))
        } catch {
            fault(CallFailure(error))
        }
    }

    private func pass(_ step: AnswerStream.Step) {
        guard !isOver else { return }
        switch step {
        case .event(let content):
            if isPaused {
                bytesWhilePaused += content.byteCount + 8
                guard bytesWhilePaused <= Self.mostWhilePaused else { return fault(.tooLong("it went on although it was asked to pause")) }
            }
            receiver.received(content)
        case .last(let content, let usage):
            leave()
            receiver.received(last: content, usage: usage)
        case .failed(let retryable, let retryAfter): fail(.reported(retryable: retryable, retryAfter: retryAfter))
        case .chunk: break
        }
    }

    /// It breaks the protocol: the upstream is told that nobody listens any more.
    func fault(_ failure: CallFailure) {
        guard !isOver else { return }
        write("cancel", ",\"reason\":\"fault\"")
        fail(failure)
    }

    func fail(_ failure: CallFailure) {
        guard !isOver else { return }
        leave()
        receiver.failed(failure)
    }
}
