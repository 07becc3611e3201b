// SPDX-License-Identifier: Apache-2.0

/// The requests of a session that are in flight, oldest first, and the accepted messages that aren't durable yet.
///
/// The table also numbers the requests and counts the bytes queued for the upstream. A session has few requests in flight, so a linear
/// search suffices.
package struct RequestTable: Sendable {
    /// An accepted message that isn't durable, and therefore not acknowledged, yet: a request, or the end of a recording.
    struct PendingCommit: Sendable {
        let key: RequestKey
        let id: MessageID
    }

    private var requests: [InFlightRequest] = []
    /// The number of the newest key.
    private(set) var lastNumber: UInt64 = 0
    /// Bytes sent to the upstream that it hasn't consumed yet.
    private(set) var queuedBytes = 0
    /// Accepted messages that aren't durable, oldest first.
    private(set) var pendingCommits: [PendingCommit] = []
    /// Number of accepted messages that were committed or rejected before those in ``pendingCommits``.
    private var completedCount: UInt64 = 0

    init() {}

    /// Bytes held by the table.
    @inline(__always)
    var footprint: Int {
        var bytes = pendingCommits.count * MemoryLayout<PendingCommit>.stride
        // By index: a loop over the elements would copy each request.
        for index in requests.indices { bytes += requests[index].footprint }
        return bytes
    }

    // MARK: Requests

    mutating func nextKey() -> RequestKey {
        lastNumber &+= 1
        return RequestKey(number: lastNumber)
    }

    /// Continues numbering after the last request of a stored session.
    mutating func restore(lastNumber number: UInt64) { lastNumber = number }

    mutating func insert(_ request: consuming InFlightRequest) { requests.append(request) }

    mutating func remove(at index: Int) -> InFlightRequest { requests.remove(at: index) }

    func index(of key: RequestKey) -> Int? {
        for index in requests.indices where requests[index].key == key { return index }
        return nil
    }

    func contains(_ key: RequestKey) -> Bool { index(of: key) != nil }

    /// The key of the newest request with this id.
    func key(of id: MessageID) -> RequestKey? {
        for index in requests.indices.reversed() where requests[index].id == id { return requests[index].key }
        return nil
    }

    /// Converts times to another clock.
    mutating func move(by difference: Instant.Duration) {
        for index in requests.indices { requests[index].move(by: difference) }
    }

    // MARK: The upstream's queue

    /// Adds `count` bytes, which are sent to the upstream, to the queue.
    mutating func queue(_ count: Int) { queuedBytes += count }

    /// Removes `count` bytes, which the upstream has consumed, from the queue.
    mutating func consume(_ count: Int) { queuedBytes = Swift.max(0, queuedBytes - count) }

    /// Whether the upstream's queue has room for `count` more bytes. A message larger than the whole queue is accepted when the queue is
    /// empty, as with the limiters.
    func hasRoom(for count: Int, within limit: Int) -> Bool {
        if queuedBytes == 0, requests.count < 16 { return true }
        let (sum, overflow) = (queuedBytes + requests.count * InFlightRequest.baseBytes).addingReportingOverflow(count)
        return !overflow && sum <= limit
    }

    // MARK: Durability

    /// Number of requests and ends of recordings accepted so far.
    var acceptedCount: UInt64 { completedCount &+ UInt64(pendingCommits.count) }

    mutating func addPendingCommit(_ key: RequestKey, _ id: MessageID) { pendingCommits.append(PendingCommit(key: key, id: id)) }

    /// Marks the first `count` accepted messages as durable.
    mutating func markCommitted(first count: UInt64) {
        guard count > completedCount else { return }
        let committed = Swift.min(Int(clamping: count &- completedCount), pendingCommits.count)
        pendingCommits.removeFirst(committed)
        completedCount &+= UInt64(committed)
    }

    /// Removes and returns the accepted messages that aren't durable.
    mutating func removePendingCommits() -> [PendingCommit] {
        defer { pendingCommits = [] }
        completedCount &+= UInt64(pendingCommits.count)
        return pendingCommits
    }
}

extension RequestTable: RandomAccessCollection {
    package var startIndex: Int { 0 }
    package var endIndex: Int { requests.count }

    package internal(set) subscript(index: Int) -> InFlightRequest {
        _read { yield requests[index] }
        _modify { yield &requests[index] }
    }
}
