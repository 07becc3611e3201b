// SPDX-License-Identifier: Apache-2.0

/// The stored form of a report: a small head, for lists, and a body with the rest.
extension SessionReport {
    private static let version: UInt8 = 3
    private static let versionWithoutTurns: UInt8 = 2
    private static let versionWithoutUser: UInt8 = 1

    package func head() -> [UInt8] {
        var record: [UInt8] = [Self.version]
        record.append(fixed: id.high)
        record.append(fixed: id.low)
        record.append(fixed: startedAt)
        record.append(fixed: lastMessageAt)
        record.append(endedAt == nil ? 0 : 1)
        if let endedAt { record.append(fixed: endedAt) }
        record.append(counted: Array((ending?.rawValue ?? "").utf8))
        for count in [
            counts.messagesIn, counts.messagesOut, counts.bytesIn, counts.bytesOut, counts.errors, counts.connections, counts.resumes,
            counts.audioMilliseconds, UInt64(memoryPeak), linesPruned, eventsPruned,
        ] {
            record.append(fixed: count)
        }
        record.append(counted: Array((user ?? "").utf8))
        return record
    }

    package func body() -> [UInt8] {
        var record: [UInt8] = []
        record.append(fixed: UInt32(lines.count))
        for line in lines {
            line.tag.append(to: &record)
            record.append(fixed: UInt32(line.textBytes))
            record.append(optional: line.text)
        }
        record.append(fixed: UInt32(events.count))
        for event in events { event.append(to: &record) }
        record.append(fixed: UInt32(turns.count))
        for turn in turns { turn.append(to: &record) }
        record.append(fixed: turnsPruned)
        return record
    }

    /// - Parameter body: nil reads only the head: lines and events are empty then
    package init(head: [UInt8], body: [UInt8]? = nil) throws(RecordError) {
        var reader = RecordReader(head)
        let version = try reader.fixed(UInt8.self)
        guard (Self.versionWithoutUser...Self.version).contains(version) else { throw RecordError() }
        self.init(
            id: ULID(high: try reader.fixed(), low: try reader.fixed()), startedAt: try reader.time(), lastMessageAt: try reader.time())
        endedAt = try reader.flag() ? try reader.time() : nil
        ending = SessionEnding(rawValue: String(decoding: try reader.counted(), as: UTF8.self))
        counts.messagesIn = try reader.fixed()
        counts.messagesOut = try reader.fixed()
        counts.bytesIn = try reader.fixed()
        counts.bytesOut = try reader.fixed()
        counts.errors = try reader.fixed()
        counts.connections = try reader.fixed()
        counts.resumes = try reader.fixed()
        counts.audioMilliseconds = try reader.fixed()
        let peak: UInt64 = try reader.fixed()
        // No session reaches these bounds (a million hours, a petabyte), and code that renders reports relies on them.
        guard counts.audioMilliseconds < 1 << 42, peak < 1 << 50 else { throw RecordError() }
        memoryPeak = Int(peak)
        linesPruned = try reader.fixed()
        eventsPruned = try reader.fixed()
        if version > Self.versionWithoutUser {
            let name = try reader.text()
            user = name.isEmpty ? nil : name
        }
        guard let body else { return }
        reader = RecordReader(body)
        for _ in 0..<(try reader.fixed(UInt32.self)) {
            let tag = try History.Tag(&reader)
            let count = Int(try reader.fixed(UInt32.self))
            lines.append(Line(tag: tag, text: try reader.optional(), textBytes: count))
        }
        for _ in 0..<(try reader.fixed(UInt32.self)) { events.append(try Timeline.Event(&reader)) }
        guard version > Self.versionWithoutTurns else { return }
        for _ in 0..<(try reader.fixed(UInt32.self)) { turns.append(try Turn(&reader)) }
        turnsPruned = try reader.fixed()
    }
}
