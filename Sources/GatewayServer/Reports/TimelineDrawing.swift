// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The timeline of a report as SVG paths, in a box of 1000 by 100 that is stretched to the width of the page.
///
/// The paths contain only computed numbers. Points are lines of length zero, which keep their shape when the box is stretched.
struct TimelineDrawing {
    /// Unix milliseconds.
    let start: Int64
    let end: Int64
    /// Periods with a connection, as lines.
    private(set) var connected = ""
    /// Messages of the client, messages of the upstream, and errors, as ticks.
    private(set) var client = ""
    private(set) var upstream = ""
    private(set) var errors = ""
    /// Lines from the first to the last message of each response, on a logarithmic scale of latency.
    private(set) var stems = ""
    private(set) var firsts = ""
    private(set) var lasts = ""
    /// Grid lines of that scale.
    let scale: [(y: Int, label: String)]

    /// The range of the scale as powers of ten in milliseconds: 0.1 ms at the bottom to 100 s at the top.
    private static let decades = -1...5

    init(_ details: SessionDetails, now: Int64) {
        start = details.session.startedAt
        end = max(start + 1, details.session.endedAt ?? now)
        scale = [(0, "1 ms"), (1, "10 ms"), (2, "100 ms"), (3, "1 s"), (4, "10 s")].map { decade, label in
            (y: Self.height(Double(decade)), label: label)
        }
        draw(details.timeline)
        for line in details.transcript ?? [] { draw(line) }
    }

    private func x(_ time: Int64) -> Int { Int(Double(min(max(time, start), end) - start) / Double(end - start) * 1000) }

    private static func height(_ logarithm: Double) -> Int {
        let (low, high) = (Double(decades.lowerBound), Double(decades.upperBound))
        return 100 - Int((min(max(logarithm, low), high) - low) / (high - low) * 100)
    }

    private static func height(milliseconds: Double) -> Int {
        height(log10(max(milliseconds, 0.0001)))
    }

    private mutating func draw(_ events: [SessionDetails.Event]) {
        var since: Int64? = events.first?.event == "connected" ? nil : start
        func line(to time: Int64) -> String { since.map { "M\(x($0)) 50H\(max(x($0) + 1, x(time)))" } ?? "" }
        for event in events {
            switch event.event {
            case "connected", "resumed": since = since ?? event.at
            case "disconnected", "taken_over", "restored", "moved":
                connected += line(to: event.at)
                since = nil
            default: errors += "M\(x(event.at)) 35v30"
            }
        }
        connected += line(to: end)
    }

    private mutating func draw(_ line: SessionDetails.Line) {
        let x = x(line.at)
        if line.by == "client" { client += "M\(x) 8v24" } else { upstream += "M\(x) 68v24" }
        guard let first = line.firstReplyMilliseconds, let last = line.lastReplyMilliseconds else { return }
        let (low, high) = (Self.height(milliseconds: first), Self.height(milliseconds: last))
        stems += "M\(x) \(low)V\(high)"
        firsts += "M\(x) \(low)h0"
        lasts += "M\(x) \(high)h0"
    }
}
