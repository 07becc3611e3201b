// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

extension SessionSummary {
    /// Creates the view of an ended session.
    package init(_ report: SessionReport, _ annotation: SessionAnnotation?) {
        let counts = report.counts
        self.init(
            sessionID: "\(report.id)", state: .ended, user: report.user, startedAt: report.startedAt, lastMessageAt: report.lastMessageAt,
            endedAt: report.endedAt, ending: report.ending?.rawValue, messagesIn: counts.messagesIn, messagesOut: counts.messagesOut,
            bytesIn: counts.bytesIn, bytesOut: counts.bytesOut, errors: counts.errors, connections: counts.connections,
            resumes: counts.resumes, audioSeconds: Double(counts.audioMilliseconds) / 1000, inFlight: 0, memoryBytes: 0,
            memoryPeakBytes: report.memoryPeak, title: annotation?.title, tags: annotation?.tags ?? [])
    }

    package init(_ live: LiveSession, _ annotation: SessionAnnotation?) {
        self.init(live.report, annotation)
        state = live.link == nil ? .detached : .attached
        connectedAt = live.connectedAt
        expiresAt = live.expiresAt
        inFlight = live.inFlight
        memoryBytes = live.memoryBytes
        queueBytes = live.queueBytes
        roundTripMilliseconds = live.link?.roundTripMilliseconds
        bytesIn &+= live.link?.bytesIn ?? 0
        bytesOut &+= live.link?.bytesOut ?? 0
    }
}

extension SessionSummary {
    /// Removes everything that requires the right `content`.
    mutating func removeContent() { title = nil }

    /// Adds what operators have noted about the session.
    mutating func add(_ annotation: SessionAnnotation?) {
        title = annotation?.title
        tags = annotation?.tags ?? []
    }
}

extension LiveSession.Link {
    /// To the microsecond.
    var roundTripMilliseconds: Double? { roundTripNanoseconds.map { Double($0 / 1000) / 1000 } }
}

extension SessionDetails {
    /// Removes everything that requires the right `content`, except a transcript, which isn't read without that right.
    mutating func removeContent() {
        session.removeContent()
        notes = nil
    }

    /// Creates the view of an ended session.
    ///
    /// - Parameter depth: ``ReportDepth/head`` omits the transcript
    package init(_ report: SessionReport, _ annotation: SessionAnnotation?, depth: ReportDepth) {
        self.init(
            session: SessionSummary(report, annotation), notes: annotation?.notes,
            latency: Latencies(firstReply: report.firstLatencies.map(Latency.init), lastReply: report.lastLatencies.map(Latency.init)),
            timeline: report.events.map(Event.init), timelinePruned: report.eventsPruned,
            transcript: depth == .head ? nil : report.lines.map { Line($0, withText: depth == .full) },
            transcriptPruned: report.linesPruned)
    }

    package init(_ live: LiveSession, _ annotation: SessionAnnotation?, depth: ReportDepth) {
        self.init(live.report, annotation, depth: depth)
        session = SessionSummary(live, annotation)
        connection = live.link.map { link in
            Connection(
                connectionID: "\(link.id)", address: link.address, bytesIn: link.bytesIn, bytesOut: link.bytesOut,
                roundTripMilliseconds: link.roundTripMilliseconds)
        }
        outbox = Outbox(messages: live.outboxMessages, waitingBytes: live.waitingBytes, lastSequence: live.lastSequence)
    }
}

extension SessionDetails.Latency {
    init(_ percentiles: Percentiles) {
        func milliseconds(_ microseconds: UInt32) -> Double { Double(microseconds) / 1000 }
        self.init(
            count: percentiles.count, p50: milliseconds(percentiles.p50), p90: milliseconds(percentiles.p90),
            p99: milliseconds(percentiles.p99), max: milliseconds(percentiles.maximum))
    }
}

extension SessionDetails.Event {
    init(_ event: Timeline.Event) {
        self.init(at: event.at, event: "")
        let id = event.id.map { "\($0)" }
        switch event.what {
        case .connected: (self.event, connectionID) = ("connected", id)
        case .resumed(let isLost): (self.event, connectionID, lost) = ("resumed", id, isLost)
        case .detached(let code): (self.event, connectionID, closeCode) = ("disconnected", id, code)
        case .takenOver: (self.event, connectionID) = ("taken_over", id)
        case .restored: self.event = "restored"
        case .moved: self.event = "moved"
        case .supervised(let command): self.event = command.name
        case .failed(let code): (self.event, self.code, correlationID) = ("error", code.rawValue, id)
        }
    }
}

extension SessionDetails.Line {
    init(_ line: SessionReport.Line, withText: Bool) {
        let by = line.tag.speaker == .client ? "client" : "upstream"
        switch line.tag.kind {
        case .text, .transcript:
            self.init(at: line.tag.at, by: by, kind: line.tag.kind == .text ? "text" : "transcript")
            textBytes = line.textBytes
            if withText { text = line.text.map { String(decoding: $0, as: UTF8.self) } }
        case .audio:
            self.init(at: line.tag.at, by: by, kind: "audio")
            audioBytes = line.tag.audio.bytes
            audioSeconds = Double(line.tag.audio.nanoseconds / 1_000_000) / 1000
        }
        firstReplyMilliseconds = line.tag.latency.map { Double($0.first) / 1000 }
        lastReplyMilliseconds = line.tag.latency.map { Double($0.last) / 1000 }
    }
}
