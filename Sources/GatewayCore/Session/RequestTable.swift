/// The requests of a session that are in flight, the oldest first, and what of them isn't durable yet.
///
/// It numbers them, and counts what waits for the upstream. A session has few at a time, so that looking one up is a short walk.
package struct RequestTable: Sendable {
    /// Something accepted whose acknowledgement promises that it is stored: a request, or the end of a recording.
    struct Promise: Sendable {
        let key: RequestKey
        let id: MessageID
    }

    private var requests: [InFlightRequest] = []
    /// The number of the newest key.
    private(set) var lastNumber: UInt64 = 0
    /// Bytes given to the upstream that it hasn't consumed yet.
    private(set) var queuedBytes = 0
    /// Promises that aren't durable, the oldest first.
    private(set) var promises: [Promise] = []
    /// How many promises were kept or withdrawn before those in ``promises``.
    private var keptCount: UInt64 = 0

    init() {}

    /// Bytes held for requests and promises.
    var footprint: Int { requests.reduce(promises.count * MemoryLayout<Promise>.stride) { $0 + $1.footprint } }

    // MARK: Requests

    mutating func nextKey() -> RequestKey {
        lastNumber &+= 1
        return RequestKey(number: lastNumber)
    }

    /// Goes on numbering behind a stored session's last request.
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

    mutating func queue(_ count: Int) { queuedBytes += count }

    /// The upstream has consumed `count` bytes.
    mutating func consume(_ count: Int) { queuedBytes = Swift.max(0, queuedBytes - count) }

    /// Whether the upstream's queue takes `count` more bytes. One piece that is larger than the whole queue passes when nothing waits, as with
    /// the limiters.
    func hasRoom(for count: Int, within limit: Int) -> Bool {
        if queuedBytes == 0, requests.count < 16 { return true }
        let (sum, overflow) = (queuedBytes + requests.count * InFlightRequest.baseBytes).addingReportingOverflow(count)
        return !overflow && sum <= limit
    }

    // MARK: Durability

    /// Requests, and ends of recordings, accepted so far.
    var acceptedCount: UInt64 { keptCount &+ UInt64(promises.count) }

    mutating func promise(_ key: RequestKey, _ id: MessageID) { promises.append(Promise(key: key, id: id)) }

    /// The first `count` of what was accepted is durable.
    mutating func keep(first count: UInt64) {
        guard count > keptCount else { return }
        let kept = Swift.min(Int(clamping: count &- keptCount), promises.count)
        promises.removeFirst(kept)
        keptCount &+= UInt64(kept)
    }

    /// Withdraws what isn't durable, and returns it.
    mutating func withdrawPromises() -> [Promise] {
        defer { promises = [] }
        keptCount &+= UInt64(promises.count)
        return promises
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
