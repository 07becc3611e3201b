// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayServer

/// Sessions as text tables. Control characters in texts of clients and operators are escaped before they reach the terminal.
enum SessionTable {
    private static let widths = [26, 8, 19, 7, 7, 6, 8, 9]

    private static let nodeWidth = 12

    /// - Parameter withNode: whether there is a column for the node
    static func header(withNode: Bool) -> String {
        line(
            ["SESSION"] + (withNode ? ["NODE"] : []) + ["STATE", "STARTED (UTC)", "IN", "OUT", "ERRORS", "AUDIO", "MEMORY", "TITLE"],
            withNode: withNode)
    }

    static func row(_ session: SessionSummary, withNode: Bool) -> String {
        let tags = session.tags.map { "#" + $0 }.joined(separator: " ")
        return line(
            [ClientText.safe(session.sessionID)] + (withNode ? [ClientText.safe(session.node ?? "-")] : []) + [
                session.state.rawValue, time(session.startedAt), "\(session.messagesIn)", "\(session.messagesOut)",
                "\(session.errors)", "\(Int(session.audioSeconds)) s", size(session.memoryBytes),
                ClientText.safe([session.title ?? "", tags].filter { !$0.isEmpty }.joined(separator: " ")),
            ], withNode: withNode)
    }

    static func json(_ session: SessionSummary) throws -> String {
        String(decoding: try SortedJSON.encode(session), as: UTF8.self)
    }

    /// Formats one session from the listener's JSON.
    static func page(_ body: [UInt8]) throws -> String {
        guard let details = try? JSONDecoder().decode(SessionDetails.self, from: Data(body)) else {
            throw OperationsClient.Failure.undecodable
        }
        let session = details.session
        var lines = [
            pair("session", session.sessionID),
            pair("state", [session.state.rawValue, session.ending].compactMap(\.self).joined(separator: ", ")),
            pair("started", time(session.startedAt)),
        ]
        if let node = session.node { lines.append(pair("node", node)) }
        if let ended = session.endedAt { lines.append(pair("ended", time(ended))) }
        if let expires = session.expiresAt { lines.append(pair("expires", time(expires))) }
        if let title = session.title { lines.append(pair("title", title)) }
        if !session.tags.isEmpty { lines.append(pair("tags", session.tags.joined(separator: ", "))) }
        if let connection = details.connection {
            let rtt = connection.roundTripMilliseconds.map { ", round trip \($0) ms" } ?? ""
            lines.append(pair("connection", "\(connection.connectionID) from \(connection.address)\(rtt)"))
        }
        lines += [
            pair("connections", "\(session.connections), \(session.resumes) of them resumed"),
            pair("messages", "\(session.messagesIn) in, \(session.messagesOut) out, \(session.inFlight) in flight"),
            pair("bytes", "\(session.bytesIn) in, \(session.bytesOut) out"), pair("errors", "\(session.errors)"),
            pair("audio", "\(session.audioSeconds) s"),
            pair("memory", "\(size(session.memoryBytes)) now, \(size(session.memoryPeakBytes)) peak"),
        ]
        if let outbox = details.outbox {
            lines.append(
                pair("outbox", "\(outbox.messages) unacknowledged, \(outbox.waitingBytes) bytes queued, last_seq \(outbox.lastSequence)"))
        }
        for (name, latency) in [("first reply", details.latency.firstReply), ("last reply", details.latency.lastReply)] {
            guard let latency else { continue }
            lines.append(
                pair(
                    name,
                    "p50 \(latency.p50) ms, p90 \(latency.p90) ms, p99 \(latency.p99) ms, max \(latency.max) ms, count \(latency.count)"))
        }
        if let notes = details.notes { lines.append(pair("notes", notes)) }
        lines += ["", "timeline"] + details.timeline.map(event)
        if let transcript = details.transcript { lines += ["", "transcript"] + transcript.map(transcriptLine) }
        return lines.joined(separator: "\n")
    }

    private static func event(_ event: SessionDetails.Event) -> String {
        let details = [
            event.code, event.closeCode.map { "close code \($0)" }, event.lost == true ? "messages were lost" : nil,
            event.correlationID ?? event.connectionID,
        ]
        let text = details.compactMap(\.self).joined(separator: ", ")
        return "  \(time(event.at))  \(padded(ClientText.safe(event.event), 12))  \(ClientText.safe(text))"
    }

    private static func transcriptLine(_ line: SessionDetails.Line) -> String {
        var text = line.text ?? ""
        if line.text == nil, let bytes = line.textBytes { text = "(\(bytes) bytes)" }
        if let seconds = line.audioSeconds { text = "(\(seconds) s of audio)" }
        if let first = line.firstReplyMilliseconds, let last = line.lastReplyMilliseconds { text += "  (\(first) ms to \(last) ms)" }
        return "  \(time(line.at))  \(padded(ClientText.safe(line.by), 8))  \(ClientText.safe(text))"
    }

    private static func pair(_ name: String, _ value: String) -> String { "\(padded(name, 12))  \(ClientText.safe(value))" }

    private static func line(_ cells: [String], withNode: Bool) -> String {
        zip(cells, withNode ? [widths[0], nodeWidth] + widths.dropFirst() : widths).map { padded($0, $1) }.joined(separator: "  ") + "  "
            + (cells.last ?? "")
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// Formats a time in UTC, to the second.
    private static func time(_ unixMilliseconds: Int64) -> String { Readable.time(unixMilliseconds) }

    private static func size(_ bytes: Int) -> String { Readable.size(UInt64(max(0, bytes))) }
}
