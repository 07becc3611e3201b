// SPDX-License-Identifier: Apache-2.0

/// Handing a session over to another gateway, which loads the stored records and gets the rest from this one.
extension Session {
    private static let handoverVersion: UInt8 = 1

    /// The requests in flight, oldest first.
    package var requestKeys: [RequestKey] { inFlight.map(\.key) }

    /// The tariffs of the requests in flight whose usage is charged.
    package var requestTariffs: [(RequestKey, RouteTariff)] {
        inFlight.compactMap { request in request.charge?.tariff.map { (request.key, $0) } }
    }

    /// Bytes sent to the upstreams that they haven't consumed yet.
    package var upstreamQueueBytes: Int { inFlight.queuedBytes }

    /// Appends what the stored records lack: the unstored messages, and the state of the requests in flight, which continue on this
    /// gateway. The session must be detached and stored.
    ///
    /// - Parameter includesFrames: false to leave out the unstored messages, which are lost then
    package func appendHandover(to record: inout [UInt8], now: Instant, wall: Int64, includesFrames: Bool = true) {
        record.append(Self.handoverVersion)
        outbox.appendUnstored(to: &record, includesFrames: includesFrames)
        record.append(fixed: UInt32(clamping: inFlight.queuedBytes))
        record.append(fixed: responseDelay ?? -1)
        record.append(fixed: UInt32(inFlight.count))
        for index in inFlight.indices { inFlight[index].append(to: &record, now: now, wall: wall) }
    }

    /// Restores the record of ``appendHandover(to:now:wall:includesFrames:)``, and returns the requests in flight.
    mutating func restoreHandover(_ record: [UInt8], now: Instant, wall: Int64) throws(RecordError) -> [InFlightRequest] {
        var reader = RecordReader(record)
        guard try reader.fixed(UInt8.self) == Self.handoverVersion else { throw RecordError() }
        try outbox.restoreUnstored(&reader)
        inFlight.queue(Int(try reader.fixed(UInt32.self)))
        let delay: Int64 = try reader.fixed()
        responseDelay = delay < 0 ? nil : delay
        var requests: [InFlightRequest] = []
        for _ in 0..<(try reader.fixed(UInt32.self)) { requests.append(try InFlightRequest(&reader, now: now, wall: wall)) }
        guard reader.isAtEnd else { throw RecordError() }
        return requests
    }
}
