import GatewayCore
import NIOCore

/// A WebSocket that many requests share, each under a number of its own. Upstream page, section "WebSocket".
final class MultiplexConnection: SocketOwner {
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
    /// Where requests are put together.
    private var scratch: [UInt8] = []
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
        scratch.removeAll(keepingCapacity: scratch.capacity <= 65_536)
        scratch.append(attempt.order, number: attempt.number)
        write(scratch)
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
