import DequeModule
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
    /// Numbers of the requests with something to write, in the order of their turns. Some may have ended.
    private var queue: Deque<UInt64> = []
    private var lastNumber: UInt64 = 0
    private let madeAt: Instant
    private var idleSince: Instant?
    /// Where requests are put together.
    private var scratch: [UInt8] = []
    private var watch = SocketWatch()
    /// Whose requests went here lately.
    private(set) var lastSessions: Set<ULID> = []

    private static let sessionsKept = 10_000
    /// Bytes that wait for the socket beyond which news of clients are left out.
    private static let mostPendingForNews = 524_288

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
        connecting = connector.connect(endpoint: endpoint, owner: self) { [self] socket in
            attach(socket)
        } failed: { [self] failure in
            close(failure)
        }
    }

    /// The socket that it is about to open.
    func attach(_ socket: UpstreamSocketHandler) { self.socket = socket }

    func add(_ attempt: MultiplexAttempt) {
        lastNumber += 1
        streams[lastNumber] = attempt
        idleSince = nil
        attempt.number = lastNumber
        attempt.connection = self
        if lastSessions.count >= Self.sessionsKept { lastSessions = [] }
        lastSessions.insert(attempt.request.session)
        guard isOpen else { return }
        attempt.opened()
        enqueue(attempt)
    }

    // MARK: Writing

    /// An attempt has something to write: its turn comes while the socket takes bytes.
    func enqueue(_ attempt: MultiplexAttempt) {
        guard isOpen, attempt.hasMore else { return }
        append(attempt)
        writeQueued()
    }

    private func append(_ attempt: MultiplexAttempt) {
        guard !attempt.isQueued else { return }
        attempt.isQueued = true
        queue.append(attempt.number)
    }

    /// A message of each in turn, so that none waits for all that another has.
    private func writeQueued() {
        while let socket, socket.isWritable, let number = queue.popFirst() {
            guard let attempt = streams[number] else { continue }
            attempt.isQueued = false
            attempt.writeNext()
            if attempt.hasMore { append(attempt) }
        }
    }

    func write(_ request: borrowing UpstreamRequest, number: UInt64) {
        scratch.removeAll(keepingCapacity: scratch.capacity <= 65_536)
        scratch.append(request, number: number)
        write(scratch)
    }

    func write(_ message: [UInt8]) { socket?.write(text: message) }

    func write(_ chunk: [UInt8], of number: UInt64) { socket?.write(binary: chunk, prefix: UInt32(truncatingIfNeeded: number)) }

    /// News of a client, which nobody waits for: left out while much waits for the socket.
    func tell(_ news: [UInt8]) {
        guard let socket, socket.pendingBytes <= Self.mostPendingForNews else { return }
        socket.write(text: news)
    }

    /// Length of the queue of requests with something to write.
    var waitingCount: Int { queue.count }
    /// Bytes that wait for the socket.
    var pendingBytes: Int { socket?.pendingBytes ?? 0 }

    /// Takes no more requests, and closes with the last.
    func retire() {
        isRetired = true
        if streams.isEmpty { close(nil) }
    }

    func remove(_ number: UInt64) {
        streams[number] = nil
        // Numbers of cancelled requests don't pile up while the socket is full.
        if queue.count > 2 * streams.count + 64 { queue.removeAll { streams[$0] == nil } }
        if streams.isEmpty, isRetired { close(nil) }
    }

    /// - Parameter betweenBytes: how long the socket may take no byte, and a message may take, in nanoseconds
    func tick(now: Instant, idleClose: Int64, maxAge: Int64, betweenBytes: Int64) {
        guard isOpen, let socket else { return }
        if now.nanoseconds(since: madeAt) >= maxAge { isRetired = true }
        if streams.isEmpty {
            let since = idleSince ?? now
            idleSince = since
            if isRetired || now.nanoseconds(since: since) >= idleClose { return close(nil) }
        }
        switch watch.look(at: socket, limit: betweenBytes, now: now) {
        case .alive: break
        case .quiet: socket.ping()
        case .dead(let failure): close(failure)
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
        queue = []
        var failure = failure ?? .brokenOff("closed in the middle of an answer")
        // Whose fault it was can't be told when there are several: to all of them, the answer has broken off.
        if all.count > 1, failure.hasReached, failure.code != .upstreamTimeout {
            let outcome = failure.outcome
            failure = .brokenOff(failure.details)
            failure.outcome = outcome
        }
        var unwritten = failure
        if failure.hasReached { unwritten = .unreachable(failure.details ?? "the connection was lost") }
        unwritten.outcome = .neither
        // One connection that is lost is one failure, however many were on it: that of a request that it had, if there is one.
        let sorted = all.sorted { ($0.value.hasBegun ? 0 : 1, $0.key) < ($1.value.hasBegun ? 0 : 1, $1.key) }
        if let first = sorted.first, !first.value.hasBegun { unwritten.outcome = failure.outcome }
        for (_, attempt) in sorted {
            attempt.fail(attempt.hasBegun ? failure : unwritten)
            (failure.outcome, unwritten.outcome) = (.neither, .neither)
        }
    }

    // MARK: From the socket

    func socketOpened() {
        connecting = nil
        isOpen = true
        pool.count { $0.connections += 1 }
        for (_, attempt) in streams.sorted(by: { $0.key < $1.key }) where !isOver {
            attempt.opened()
            if attempt.hasMore { append(attempt) }
        }
        writeQueued()
    }

    func socket(text: RawSpan) {
        let message: AnswerMessage
        do throws(AnswerFault) {
            message = try AnswerMessage(text)
        } catch {
            // What can be told apart costs the request that it was for, anything else all that are on the connection.
            guard let number = error.request else { return close(.unusable(error)) }
            streams[number]?.fault(.unusable(error))
            return
        }
        guard let number = message.request else { return close(.unusable(AnswerFault("a message without a request"))) }
        // Of a request that was cancelled, or never was.
        streams[number]?.take(message, bytes: text.byteCount)
    }

    func socket(binary: RawSpan) {
        guard binary.byteCount > 4 else { return close(.unusable(AnswerFault("a binary message without a request"))) }
        let number = UInt64(UInt32(bigEndian: binary.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt32.self)))
        guard let attempt = streams[number] else { return }
        attempt.take(chunk: binary.extracting(4..<binary.byteCount).withUnsafeBytes { Array($0) })
    }

    func socketIsWritable() { writeQueued() }

    func socketClosed(_ failure: CallFailure?) { close(failure) }
}
