// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The requests in flight, in the order in which they were made: what has to be sent, sent again or cancelled, and how each ends.
struct RequestQueue: Sendable {
    enum Change: Sendable {
        case accepted(id: String)
        case ended(id: String, ParleyError?)
    }

    /// A message that the gateway rejects for longer fails instead of waiting.
    static let longestWait = Duration.seconds(60)
    /// The most requests without a complete response.
    static let maximumRequests = 1000
    private static let defaultWait = Duration.seconds(1)
    /// The least wait after the first rejection of a message, which doubles up to the cap.
    private static let repeatedWait = Duration.milliseconds(250)
    private static let repeatedWaitCap = Duration.seconds(5)

    private let maximumMessages: Int
    private let maximumBytes: Int
    private var requests: [Request] = []
    /// Requests that ended here and that the gateway has to cancel, with the connection on which the message was sent; oldest first.
    private var cancelled: [(id: String, message: ClientRequest, sentOn: Int?)] = []
    private var pace = Pace()
    private(set) var resent = 0
    /// The changes since the last ``takeChanges()``.
    private var changes: [Change] = []

    init(maximumMessages: Int, maximumBytes: Int) {
        self.maximumMessages = maximumMessages
        self.maximumBytes = maximumBytes
    }

    // MARK: State

    var isEmpty: Bool { requests.isEmpty }
    var ids: [String] { requests.map(\.id) }
    /// Number of messages that aren't acknowledged.
    var queued: Int { requests.count { !$0.isAcknowledged } }

    func contains(_ id: String) -> Bool { index(of: id) != nil }

    func stream(_ id: String) -> AudioStream? { index(of: id).flatMap { requests[$0].stream } }

    /// Whether one more message may wait.
    func hasRoom(byteCount: Int) -> Bool {
        guard requests.count < Self.maximumRequests else { return false }
        let waiting = requests.lazy.filter { !$0.isAcknowledged }
        return waiting.count < maximumMessages && waiting.reduce(0) { $0 + $1.byteCount } <= maximumBytes - byteCount
    }

    private func index(of id: String) -> Int? { requests.firstIndex { $0.id == id } }

    mutating func takeChanges() -> [Change] {
        defer { changes = [] }
        return changes
    }

    // MARK: The application's side

    mutating func add(_ request: Request) { requests.append(request) }

    mutating func withStream(_ id: String, _ body: (inout AudioStream) -> Void) {
        guard let index = index(of: id), var stream = requests[index].stream else { return }
        requests[index].stream = nil
        body(&stream)
        requests[index].stream = stream
    }

    /// Ends a request at once. The gateway receives a `cancel` as soon as there is a connection.
    mutating func cancel(_ id: String, reason: String?, playedMilliseconds: Int64? = nil, with error: ParleyError) {
        guard let index = index(of: id) else { return }
        if requests[index].wasSent { tell(.cancel(id: id, reason: reason, playedMilliseconds: playedMilliseconds), about: id) }
        fail(id, error)
    }

    mutating func fail(_ id: String, _ error: ParleyError?) {
        guard let index = index(of: id) else { return }
        requests.remove(at: index)
        changes.append(.ended(id: id, error))
    }

    mutating func failAll(_ error: ParleyError) {
        for id in ids { fail(id, error) }
        cancelled = []
    }

    private mutating func tell(_ message: ClientRequest, about id: String) {
        cancelled.removeAll { $0.id == id }
        if cancelled.count >= Self.maximumRequests { cancelled.removeFirst() }
        cancelled.append((id, message, nil))
    }

    // MARK: Connections

    /// Prepares for sending on a new connection.
    mutating func connected(openAudio: ServerMessage.OpenAudio?, factor: Double?, now: Instant) {
        for index in requests.indices {
            let isOpen = openAudio?.id == requests[index].id
            requests[index].stream?.connected(accepted: isOpen ? openAudio?.chunks : nil, factor: factor, now: now)
            requests[index].sentOn = nil
        }
        if let id = openAudio?.id, !contains(id), !cancelled.contains(where: { $0.id == id }) {
            // The stream failed here, so it isn't continued.
            tell(.cancel(id: id, reason: "not continued"), about: id)
        }
        for index in cancelled.indices { cancelled[index].sentOn = nil }
    }

    /// Fails the requests whose responses are gone. Unacknowledged requests are sent again; if the session continues, the gateway may have
    /// accepted one of them before, and its response is incomplete then.
    ///
    /// - Returns: the ids of the failed requests
    mutating func lose(isNewSession: Bool) -> [String] {
        let lost = requests.filter(\.isAcknowledged).map(\.id)
        for id in lost { fail(id, ParleyError("lost", isRetryable: true)) }
        for index in requests.indices { requests[index].isDoubtful = !isNewSession && requests[index].wasSent }
        if isNewSession { cancelled = [] }
        return lost
    }

    /// Returns what to send now, and when to ask again.
    mutating func take(connection: Int, now: Instant) -> (output: [AudioStream.Output], next: Instant?) {
        var output: [AudioStream.Output] = []
        for index in cancelled.indices where cancelled[index].sentOn == nil {
            cancelled[index].sentOn = connection
            output.append(.message(cancelled[index].message))
        }
        let texts = takeTexts(into: &output, connection: connection, now: now)
        let audio = takeAudio(into: &output, connection: connection, now: now)
        return (output, [texts, audio].compactMap(\.self).min())
    }

    private mutating func takeTexts(into output: inout [AudioStream.Output], connection: Int, now: Instant) -> Instant? {
        let unacknowledged = requests.indices.filter { requests[$0].stream == nil && !requests[$0].isAcknowledged }
        if unacknowledged.isEmpty { pace.drained() }
        let waiting = unacknowledged.filter { requests[$0].sentOn == nil }
        for index in waiting.prefix(pace.room(unacknowledged: unacknowledged.count - waiting.count)) {
            if let due = pace.wait(now: now) { return due }
            pace.sent(now: now)
            recordSend(index, connection: connection)
            output.append(.message(requests[index].message))
        }
        return nil
    }

    /// Sends the oldest stream that hasn't ended: only one may be open at a time.
    private mutating func takeAudio(into output: inout [AudioStream.Output], connection: Int, now: Instant) -> Instant? {
        for index in requests.indices where requests[index].stream?.hasEnded == false {
            var part: [AudioStream.Output] = []
            let due = requests[index].stream?.take(into: &part, now: now) ?? nil
            if !part.isEmpty { recordSend(index, connection: connection) }
            output += part.map { $0 == .opening ? .message(requests[index].message) : $0 }
            if requests[index].stream?.hasEnded == false { return due }
        }
        return nil
    }

    private mutating func recordSend(_ index: Int, connection: Int) {
        if requests[index].wasSent, requests[index].sentOn == nil { resent += 1 }
        requests[index].wasSent = true
        requests[index].sentOn = connection
    }

    // MARK: The gateway's side

    mutating func acknowledged(_ message: ServerMessage, now: Instant) {
        guard let id = message.id, let index = index(of: id) else { return }
        let isDuplicate = message.isDuplicate == true
        if isDuplicate, requests[index].isDoubtful, requests[index].stream == nil || message.chunks == nil {
            return fail(id, ParleyError("lost", isRetryable: true))
        }
        requests[index].stream?.acknowledged(chunks: message.chunks, isDuplicate: isDuplicate, now: now)
        confirm(id)
    }

    /// Records that the gateway has accepted a request: with an `ack`, or because it responds.
    mutating func confirm(_ id: String) {
        guard let index = index(of: id), !requests[index].isAcknowledged else { return }
        requests[index].isAcknowledged = true
        if requests[index].stream == nil { pace.textAccepted() }
        changes.append(.accepted(id: id))
    }

    /// Handles the last message of a response.
    mutating func finish(_ message: ServerMessage) {
        guard let id = message.request else { return }
        cancelled.removeAll { $0.id == id }
        if let error = message.error {
            fail(id, ParleyError(error))
        } else {
            fail(id, message.type == "status" && message.state == "cancelled" ? ParleyError("cancelled") : nil)
        }
    }

    /// Handles an `error` that rejects a message.
    ///
    /// - Returns: false if the error belongs to no request
    mutating func rejected(_ error: ServerMessage.Failure, now: Instant) -> Bool {
        guard let id = error.replyTo else { return false }
        if let index = cancelled.firstIndex(where: { $0.id == id && $0.sentOn != nil }) {
            // The request had ended before the gateway received the `cancel`.
            cancelled.remove(at: index)
            return true
        }
        guard let index = index(of: id) else { return false }
        if let stream = requests[index].stream, error.chunk != nil {
            var stream = stream
            guard !stream.rejected(error, now: now) else {
                requests[index].stream = stream
                return true
            }
            tell(.cancel(id: id, reason: error.code), about: id)
        } else if requests[index].isAcknowledged, requests[index].stream == nil {
            // The rejection of a repeated message whose first copy was accepted.
            return false
        } else if retry(index, after: error, now: now) {
            return true
        }
        fail(id, ParleyError(error))
        return true
    }

    private mutating func retry(_ index: Int, after error: ServerMessage.Failure, now: Instant) -> Bool {
        let asked = error.retryAfterMilliseconds.map { Duration.milliseconds(min(max(0, $0), 3_600_000)) } ?? Self.defaultWait
        let first = requests[index].firstRejection ?? now
        guard ParleyError.entry(for: error.code).recovery == .resend, error.retryable == true,
            now.advanced(by: asked) - first <= Instant.Duration(Self.longestWait)
        else { return false }
        let least = min(Self.repeatedWaitCap, Self.repeatedWait * (1 << min(requests[index].rejections, 10)))
        let delay = max(asked, least)
        requests[index].firstRejection = first
        requests[index].rejections += 1
        requests[index].sentOn = nil
        if requests[index].stream != nil {
            requests[index].stream?.openingRejected(delay: delay, now: now)
        } else {
            pace.rejected(delay: delay, keepsDistance: error.code == "rate_limited", now: now)
        }
        return true
    }
}
