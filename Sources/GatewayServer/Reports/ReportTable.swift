// SPDX-License-Identifier: Apache-2.0

/// A report as CSV (RFC 4180): transcript and timeline in one table, in chronological order.
///
/// A cell that a spreadsheet could parse as a formula begins with an apostrophe.
enum ReportTable {
    private static let columns = "at,by,kind,text,text_bytes,audio_bytes,audio_seconds,first_reply_ms,last_reply_ms"

    static func render(_ details: SessionDetails) -> [UInt8] {
        let lines = details.transcript ?? []
        var text = columns + "\r\n"
        var index = 0
        for event in details.timeline {
            while index < lines.count, lines[index].at <= event.at {
                append(lines[index], to: &text)
                index += 1
            }
            append([event.at.description, "gateway", event.event, CSVCell.text(detail(event)), "", "", "", "", ""], to: &text)
        }
        for line in lines[index...] { append(line, to: &text) }
        return Array(text.utf8)
    }

    private static func append(_ line: SessionDetails.Line, to text: inout String) {
        func number(_ value: (some CustomStringConvertible)?) -> String { value.map(\.description) ?? "" }
        append(
            [
                line.at.description, line.by, line.kind, line.text.map(CSVCell.text) ?? "", number(line.textBytes), number(line.audioBytes),
                number(line.audioSeconds), number(line.firstReplyMilliseconds), number(line.lastReplyMilliseconds),
            ], to: &text)
    }

    private static func append(_ cells: [String], to text: inout String) { text += cells.joined(separator: ",") + "\r\n" }

    private static func detail(_ event: SessionDetails.Event) -> String {
        [event.code, event.closeCode.map { "\($0)" }, event.lost == true ? "lost" : nil, event.correlationID ?? event.connectionID]
            .compactMap(\.self).joined(separator: " ")
    }
}
