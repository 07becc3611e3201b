// SPDX-License-Identifier: Apache-2.0

/// The last ``limit`` events of a session: connections, resumes, errors.
///
/// An event takes 40 bytes, and an idle session has one. Therefore the limit isn't configurable; the memory is counted with the history.
package struct Timeline: Sendable {
    package enum Occurrence: Sendable, Hashable {
        /// The session began with a connection.
        case connected
        /// A connection resumed the session.
        case resumed(isLost: Bool)
        /// The connection closed, with or without a close code.
        case detached(UInt16?)
        /// Another connection took the session over.
        case takenOver
        /// The gateway restarted.
        case restored
        /// The session moved here from another gateway.
        case moved
        /// An error was sent.
        case failed(ErrorCode)
        /// An operator gave this command, or a takeover ended.
        case supervised(OperatorCommand)
    }

    /// A command of an operator who supervises the session. The raw values are part of the stored format.
    package enum OperatorCommand: UInt8, Sendable, CaseIterable {
        case whisper = 0
        case takeover = 1
        case say = 2
        case handback = 3

        /// The last component of the command's path, and its name in reports and in the audit log.
        package var name: String { "\(self)" }
    }

    package struct Event: Sendable, Hashable {
        /// Unix milliseconds.
        package var at: Int64
        package var what: Occurrence
        /// The connection id, or the correlation id of an error.
        package var id: ULID?

        package init(at: Int64, what: Occurrence, id: ULID? = nil) {
            self.at = at
            self.what = what
            self.id = id
        }
    }

    package static let limit = 256

    package private(set) var events: [Event] = []
    private var watermark = SerialWatermark()

    package init() {}

    package var footprint: Int { events.capacity * MemoryLayout<Event>.stride }
    /// Number of events that were removed.
    package var pruned: UInt64 { watermark.total &- UInt64(events.count) }

    package mutating func append(_ event: Event) {
        if events.count == Self.limit { events.removeFirst() }
        events.append(event)
        watermark.added()
    }

    mutating func store(of session: ULID, into batch: inout StoreBatch) {
        let events = events
        watermark.store(.event, of: session, count: events.count, into: &batch) { index, record in events[index].append(to: &record) }
    }

    mutating func restore(_ records: [StoredSession.Record]) throws(RecordError) {
        watermark = try SerialWatermark.restoring(records) { (reader) throws(RecordError) in append(try Event(&reader)) }
    }
}

extension Timeline.Event {
    func append(to record: inout [UInt8]) {
        record.append(fixed: at)
        record.append(id == nil ? 0 : 1)
        if let id {
            record.append(fixed: id.high)
            record.append(fixed: id.low)
        }
        switch what {
        case .connected: record.append(0)
        case .resumed(let isLost): record.append(isLost ? 2 : 1)
        case .detached(let code):
            record.append(3)
            record.append(fixed: code ?? 0)
        case .takenOver: record.append(4)
        case .restored: record.append(5)
        case .moved: record.append(8)
        case .failed(let code):
            record.append(6)
            record.append(counted: Array(code.rawValue.utf8))
        case .supervised(let command):
            record.append(7)
            record.append(command.rawValue)
        }
    }

    init(_ reader: inout RecordReader) throws(RecordError) {
        let at = try reader.time()
        let id = try reader.flag() ? ULID(high: try reader.fixed(), low: try reader.fixed()) : nil
        let what: Timeline.Occurrence
        switch try reader.fixed(UInt8.self) {
        case 0: what = .connected
        case 1: what = .resumed(isLost: false)
        case 2: what = .resumed(isLost: true)
        case 3:
            let code: UInt16 = try reader.fixed()
            what = .detached(code == 0 ? nil : code)
        case 4: what = .takenOver
        case 5: what = .restored
        case 6:
            guard let code = ErrorCode(rawValue: String(decoding: try reader.counted(), as: UTF8.self)) else { throw RecordError() }
            what = .failed(code)
        case 7:
            guard let command = Timeline.OperatorCommand(rawValue: try reader.fixed()) else { throw RecordError() }
            what = .supervised(command)
        case 8: what = .moved
        default: throw RecordError()
        }
        self.init(at: at, what: what, id: id)
    }
}
