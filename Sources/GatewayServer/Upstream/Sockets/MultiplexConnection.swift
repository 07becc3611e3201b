// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore
import NIOCore

/// A WebSocket shared by many requests, each with its own number (page "Upstreams", section "WebSocket").
final class MultiplexConnection: SocketOwner {
    private let pool: UpstreamPool
    private let onClose: (MultiplexConnection) -> Void
    private var connecting: ConnectAttempt?
    private var socket: UpstreamSocketHandler?
    private var isOpen = false
    private var isClosed = false
    private var isRetired = false
    private var streams: [UInt64: MultiplexAttempt] = [:]
    /// The write queue: the numbers of requests with messages to write, in round-robin order. Some of the requests may have ended.
    private var queue: Deque<UInt64> = []
    private var lastNumber: UInt64 = 0
    private let openedAt: Instant
    private var idleSince: Instant?
    /// A reusable buffer for serialized requests.
    private var scratch: [UInt8] = []
    private var keepalive = SocketKeepalive()
    /// The sessions whose requests were sent over this connection. Reset at ``maxSessions``.
    private(set) var lastSessions: Set<ULID> = []

    private static let maxSessions = 10_000
    /// Maximum number of pending bytes at which client states are still sent.
    private static let maxPendingForStates = 524_288

    init(pool: UpstreamPool, at now: Instant, onClose: @escaping (MultiplexConnection) -> Void) {
        self.pool = pool
        self.onClose = onClose
        openedAt = now
        idleSince = now
    }

    var count: Int { streams.count }
    /// Whether the connection accepts more requests. Request numbers are limited to the 32-bit prefix of binary messages.
    var acceptsRequests: Bool { !isClosed && !isRetired && lastNumber < UInt64(UInt32.max) }

    func connect(_ connector: SocketConnector, endpoint: Int) {
        connecting = connector.connect(endpoint: endpoint, owner: self) { [self] socket in
            attach(socket)
        } failed: { [self] failure in
            close(failure)
        }
    }

    /// Sets the socket that is about to open.
    func attach(_ socket: UpstreamSocketHandler) { self.socket = socket }

    func add(_ attempt: MultiplexAttempt) {
        lastNumber += 1
        streams[lastNumber] = attempt
        idleSince = nil
        attempt.number = lastNumber
        attempt.connection = self
        if lastSessions.count >= Self.maxSessions { lastSessions = [] }
        lastSessions.insert(attempt.request.session)
        guard isOpen else { return }
        attempt.opened()
        enqueue(attempt)
    }

    // MARK: Writing

    /// Adds an attempt that has a message to write to the write queue.
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

    /// Writes one message per attempt in round-robin order, so that no attempt monopolizes the connection.
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

    /// Sends the state of a client. The state is dropped while many bytes are pending, since no request depends on it.
    func sendClientState(_ state: [UInt8]) {
        guard let socket, socket.pendingBytes <= Self.maxPendingForStates else { return }
        socket.write(text: state)
    }

    /// Length of the write queue.
    var waitingCount: Int { queue.count }
    /// Bytes that the socket hasn't accepted yet.
    var pendingBytes: Int { socket?.pendingBytes ?? 0 }

    /// Drains the connection: it accepts no more requests and closes with the last one.
    func retire() {
        isRetired = true
        if streams.isEmpty { close(nil) }
    }

    func remove(_ number: UInt64) {
        streams[number] = nil
        // Limits the numbers of cancelled requests in the queue while the socket isn't writable.
        if queue.count > 2 * streams.count + 64 { queue.removeAll { streams[$0] == nil } }
        if streams.isEmpty, isRetired { close(nil) }
    }

    /// Closes the connection when a deadline has passed, and pings a silent upstream.
    ///
    /// - Parameter betweenBytes: maximum time without write progress, and for one incoming message, in nanoseconds
    func tick(now: Instant, idleClose: Int64, maxAge: Int64, betweenBytes: Int64) {
        guard isOpen, let socket else { return }
        if now.nanoseconds(since: openedAt) >= maxAge { isRetired = true }
        if streams.isEmpty {
            let since = idleSince ?? now
            idleSince = since
            if isRetired || now.nanoseconds(since: since) >= idleClose { return close(nil) }
        }
        switch keepalive.check(at: socket, limit: betweenBytes, now: now) {
        case .alive: break
        case .silent: socket.ping()
        case .dead(let failure): close(failure)
        }
    }

    func close(_ failure: CallFailure?) {
        guard !isClosed else { return }
        isClosed = true
        connecting?.cancel()
        connecting = nil
        if isOpen { pool.count { $0.connections -= 1 } }
        isOpen = false
        socket?.close()
        socket = nil
        onClose(self)
        let all = streams
        streams = [:]
        queue = []
        var failure = failure ?? .incompleteResponse("the connection closed during the response")
        // With several requests in flight, the one that caused the failure is unknown. All of them fail with an incomplete response.
        if all.count > 1, failure.mayHaveBeenProcessed, failure.code != .upstreamTimeout {
            let outcome = failure.outcome
            failure = .incompleteResponse(failure.details)
            failure.outcome = outcome
        }
        var unwritten = failure
        if failure.mayHaveBeenProcessed { unwritten = .unreachable(failure.details ?? "the connection was lost") }
        unwritten.outcome = .neither
        // The breaker counts one failure for a lost connection, however many requests it had: that of a written request, if there is one.
        let sorted = all.sorted { ($0.value.isRequestWritten ? 0 : 1, $0.key) < ($1.value.isRequestWritten ? 0 : 1, $1.key) }
        if let first = sorted.first, !first.value.isRequestWritten { unwritten.outcome = failure.outcome }
        for (_, attempt) in sorted {
            attempt.fail(attempt.isRequestWritten ? failure : unwritten)
            (failure.outcome, unwritten.outcome) = (.neither, .neither)
        }
    }

    // MARK: From the socket

    func socketOpened() {
        connecting = nil
        isOpen = true
        pool.count { $0.connections += 1 }
        for (_, attempt) in streams.sorted(by: { $0.key < $1.key }) where !isClosed {
            attempt.opened()
            if attempt.hasMore { append(attempt) }
        }
        writeQueued()
    }

    func socket(text: RawSpan) {
        let message: UpstreamMessage
        do throws(ResponseFault) {
            message = try UpstreamMessage(text)
        } catch {
            // A fault in a message with a request number fails only that request; any other fault fails all requests of the connection.
            guard let number = error.request else { return close(.unusable(error)) }
            streams[number]?.fault(.unusable(error))
            return
        }
        guard let number = message.request else { return close(.unusable(ResponseFault("a message without a request"))) }
        // Messages for cancelled or unknown requests are ignored.
        streams[number]?.receive(message, bytes: text.byteCount)
    }

    func socket(binary: RawSpan) {
        guard binary.byteCount > 4 else { return close(.unusable(ResponseFault("a binary message without a request"))) }
        let number = UInt64(UInt32(bigEndian: binary.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt32.self)))
        guard let attempt = streams[number] else { return }
        attempt.receive(chunk: binary.extracting(4..<binary.byteCount).withUnsafeBytes { Array($0) })
    }

    func socketIsWritable() { writeQueued() }

    func socketClosed(_ failure: CallFailure?) { close(failure) }
}
