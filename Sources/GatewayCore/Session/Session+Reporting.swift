// SPDX-License-Identifier: Apache-2.0

extension Session {
    /// Adds an event to the timeline. It is stored with the next change of the session.
    package mutating func note(_ what: Timeline.Occurrence, of id: ULID?, wall: Int64) {
        timeline.append(Timeline.Event(at: wall, what: what, id: id))
        switch what {
        case .connected: counts.connections &+= 1
        case .resumed:
            counts.connections &+= 1
            counts.resumes &+= 1
        default: break
        }
    }

    /// Returns a report of the session in its current state.
    package func report(_ depth: ReportDepth) -> SessionReport {
        // Calculated on the monotonic clock alone, so that two reports of an unchanged session are equal.
        let age = max(.zero, lastMessageAt - startedAt).milliseconds
        var report = SessionReport(id: id, startedAt: startedAtMilliseconds, lastMessageAt: startedAtMilliseconds &+ age)
        report.client = client
        report.user = user
        report.counts.messagesIn = counts.messagesIn
        report.counts.messagesOut = counts.messagesOut
        report.counts.bytesIn = counts.bytesIn
        report.counts.bytesOut = counts.bytesOut
        report.counts.errors = counts.errors
        report.counts.connections = counts.connections
        report.counts.resumes = counts.resumes
        report.counts.audioMilliseconds = UInt64(max(0, counts.audioNanoseconds)) / 1_000_000
        report.memoryPeak = memoryPeak
        guard depth != .head else { return report }
        report.lines.reserveCapacity(history.count)
        for index in 0..<history.count {
            history.withText(at: index) { text, tag in
                var bytes: [UInt8]?
                if depth == .full {
                    var copy: [UInt8] = []
                    copy.append(bytesOf: text)
                    bytes = copy
                }
                report.lines.append(SessionReport.Line(tag: tag, text: bytes, textBytes: text.byteCount))
            }
        }
        report.linesPruned = history.pruned
        report.events = timeline.events
        report.eventsPruned = timeline.pruned
        report.turns = turns
        report.turnsPruned = turnLog.pruned
        return report
    }
}
