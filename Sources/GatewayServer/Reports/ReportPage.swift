// SPDX-License-Identifier: Apache-2.0

import Mustache

/// A report as one self-contained HTML page, without scripts, links and fonts.
enum ReportPage {
    /// The Content Security Policy (level 3), which allows a browser only to display the page.
    static let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    /// Nil only if the template is invalid, which a test would detect.
    private static let template: MustacheTemplate? = {
        MustacheContentTypes.register(PageText(), named: "PAGE")
        return try? MustacheTemplate(string: source)
    }()

    static func render(_ details: SessionDetails, now: Int64) -> [UInt8] {
        Array((template?.render(context(details, now: now)) ?? "").utf8)
    }

    private static func context(_ details: SessionDetails, now: Int64) -> [String: Any] {
        let session = details.session
        let drawing = TimelineDrawing(details, now: now)
        let entries = entries(details)
        return [
            "title": session.title ?? "Session report",
            "id": session.sessionID,
            "state": session.state.rawValue,
            "ending": (session.ending ?? "").replacing("_", with: " "), "hasEnded": session.ending != nil,
            "tags": session.tags,
            "notes": details.notes ?? "", "hasNotes": details.notes != nil,
            "facts": facts(session, now: now),
            "hasLatency": details.latency.firstReply != nil,
            "latencies": [("first message", details.latency.firstReply), ("last message", details.latency.lastReply)].compactMap { row in
                row.1.map { latency(row.0, $0) }
            },
            "from": Readable.time(drawing.start), "to": Readable.moment(drawing.end, since: drawing.start),
            "connected": drawing.connected, "client": drawing.client, "upstream": drawing.upstream, "errors": drawing.errors,
            "stems": drawing.stems, "firsts": drawing.firsts, "lasts": drawing.lasts,
            "scale": drawing.scale.map { ["y": "\($0.y)", "label": $0.label] },
            "lines": entries, "hasLines": !entries.isEmpty,
            "pruned": "\(details.transcriptPruned)", "isPruned": details.transcriptPruned > 0,
            "events": details.timeline.map { event($0, since: session.startedAt) },
            "eventsPruned": "\(details.timelinePruned)", "isEventsPruned": details.timelinePruned > 0,
        ]
    }

    private static func facts(_ session: SessionSummary, now: Int64) -> [[String: String]] {
        func fact(_ name: String, _ value: String) -> [String: String] { ["name": name, "value": value] }
        return (session.user.map { [fact("user", $0)] } ?? []) + [
            fact("started", Readable.time(session.startedAt) + " UTC"),
            fact(session.endedAt == nil ? "running for" : "duration", Readable.duration((session.endedAt ?? now) - session.startedAt)),
            fact("messages in", "\(session.messagesIn)"), fact("messages out", "\(session.messagesOut)"),
            fact("bytes in", Readable.size(session.bytesIn)), fact("bytes out", Readable.size(session.bytesOut)),
            fact("connections", "\(session.connections)"), fact("resumes", "\(session.resumes)"), fact("errors", "\(session.errors)"),
            fact("audio", Readable.duration(Int64(session.audioSeconds * 1000))),
            fact("peak memory", Readable.size(UInt64(session.memoryPeakBytes))),
        ]
    }

    private static func latency(_ name: String, _ latency: SessionDetails.Latency) -> [String: String] {
        [
            "name": name, "count": "\(latency.count)", "p50": Readable.duration(latency.p50), "p90": Readable.duration(latency.p90),
            "p99": Readable.duration(latency.p99), "max": Readable.duration(latency.max),
        ]
    }

    /// Returns the lines of the transcript and the errors of rejected and failed requests, in chronological order.
    private static func entries(_ details: SessionDetails) -> [[String: Any]] {
        let start = details.session.startedAt
        let failures = details.timeline.filter { $0.code != nil }
        var entries: [[String: Any]] = []
        var next = failures.startIndex
        for line in details.transcript ?? [] {
            while next < failures.endIndex, failures[next].at < line.at {
                entries.append(failure(failures[next], since: start))
                next += 1
            }
            entries.append(self.line(line, since: start))
        }
        // A report without a transcript lists errors only among its events.
        guard details.transcript != nil else { return entries }
        return entries + failures[next...].map { failure($0, since: start) }
    }

    private static func failure(_ event: SessionDetails.Event, since start: Int64) -> [String: Any] {
        [
            "by": "error", "time": Readable.moment(event.at, since: start), "remarks": event.correlationID ?? "",
            "hasRemarks": event.correlationID != nil, "text": event.code ?? "", "hasText": true,
        ]
    }

    private static func line(_ line: SessionDetails.Line, since start: Int64) -> [String: Any] {
        var remarks: [String] = []
        if line.kind != "text" { remarks.append(line.kind) }
        if line.text == nil, let bytes = line.textBytes, bytes > 0 { remarks.append("\(bytes) bytes of text") }
        if let bytes = line.audioBytes {
            remarks.append("\(Readable.duration((line.audioSeconds ?? 0) * 1000)), \(Readable.size(UInt64(max(0, bytes))))")
        }
        if let first = line.firstReplyMilliseconds, let last = line.lastReplyMilliseconds {
            remarks.append("after \(Readable.duration(first)), done after \(Readable.duration(last))")
        }
        return [
            "by": line.by, "time": Readable.moment(line.at, since: start), "remarks": remarks.joined(separator: " · "),
            "hasRemarks": !remarks.isEmpty, "text": line.text ?? "", "hasText": line.text?.isEmpty == false,
        ]
    }

    private static func event(_ event: SessionDetails.Event, since start: Int64) -> [String: String] {
        var details: [String] = []
        if let code = event.code { details.append(code) }
        if let code = event.closeCode { details.append("close code \(code)") }
        if event.lost == true { details.append("messages were lost") }
        return [
            "time": Readable.moment(event.at, since: start), "name": event.event.replacing("_", with: " "),
            "details": details.joined(separator: ", "),
            "id": event.correlationID ?? event.connectionID ?? "",
        ]
    }
}

/// Escapes text inside an element or a quoted attribute.
///
/// Escapes scalars: the library's own escaping compares whole characters and so misses `"` with a combining accent, which a browser parses
/// as `"`.
private struct PageText: MustacheContentType {
    func escapeText(_ text: String) -> String {
        var escaped = ""
        escaped.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
