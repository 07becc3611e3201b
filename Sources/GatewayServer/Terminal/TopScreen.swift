// SPDX-License-Identifier: Apache-2.0

/// The text of `parley top`: the figures of a gateway, and a table of its sessions.
///
/// Every text of clients and operators is escaped and cut to its column, so that none of it reaches the terminal as a control sequence.
package struct TopScreen: Sendable {
    package var overview: Overview?
    package var sessions: [SessionSummary] = []
    package var sort = SessionSort.memory
    package var showsHelp = false
    /// A problem to show in place of the first line's end.
    package var notice: String?

    package init() {}

    /// The key of each order of sessions.
    package static let sortKeys: [(key: Character, sort: SessionSort)] = [
        ("m", .memory), ("w", .queue), ("r", .rtt), ("e", .errors), ("a", .age),
    ]

    /// The number of lines above the rows of the table.
    private static let tableHead = 2

    /// Returns the lines for a terminal, each at most `columns` wide.
    ///
    /// - Parameter rows: the height of the terminal; the table is cut to it
    package func lines(columns: Int, rows: Int) -> [String] {
        guard !showsHelp else { return Self.help.map { Self.cut($0, to: columns) } }
        var lines = head
        let left = max(1, rows - lines.count - Self.tableHead - 1)
        lines += ["", tableHeader] + sessions.prefix(left).map(row)
        return lines.map { Self.cut($0, to: columns) }
    }

    /// Returns all lines, as wide as they are: for `--once`.
    package var text: String {
        (head + ["", tableHeader] + sessions.map(row)).map { Self.trimmed($0) }.joined(separator: "\n")
    }

    private static let help = [
        "parley top", "", "  m  sort by memory", "  w  sort by the bytes that wait for the client", "  r  sort by round-trip time",
        "  e  sort by errors", "  a  sort by age", "  n  next page of sessions", "  p  first page of sessions",
        "  ?  this help; any key returns", "  q  quit",
    ]

    // MARK: Figures

    private var head: [String] {
        guard let overview else { return [notice.map(ClientText.safe) ?? "waiting for the gateway"] }
        var first =
            "parley \(safe(overview.version)) on \(safe(overview.node)), \(safe(overview.environment)), \(safe(overview.state)), up "
            + Readable.duration(overview.uptimeMilliseconds) + ", log level \(safe(overview.log.level))"
        if let notice { first += "  ! \(safe(notice))" }
        var lines = [
            first, "", Self.pad("", 20) + Self.right("CURRENT", 12) + Self.right("PEAK", 12) + Self.right("LIMIT", 12),
            figure("connections", overview.connections), figure("sessions", overview.sessions),
            figure("attached sessions", overview.attachedSessions),
            figure("memory", overview.memory) { Readable.size(UInt64(max(0, $0))) }, figure("descriptors", overview.descriptors),
        ]
        for upstream in overview.upstreams {
            if let permits = upstream.permits { lines.append(figure("permits \(upstream.name)", permits)) }
        }
        let rates = overview.rates
        lines += [
            "",
            "per second  \(number(rates.connections)) connections, \(number(rates.messagesIn)) messages in, "
                + "\(number(rates.messagesOut)) out, \(Readable.size(UInt64(max(0, rates.bytesIn)))) in, "
                + "\(Readable.size(UInt64(max(0, rates.bytesOut)))) out, \(number(rates.errors)) errors",
        ]
        let latency = overview.latency.sorted { $0.key < $1.key }.map { name, value in
            "\(safe(name)) \(Readable.duration(value.p50))/\(Readable.duration(value.p90))/\(Readable.duration(value.p99))"
        }
        if !latency.isEmpty { lines.append("p50/p90/p99  " + latency.joined(separator: ", ")) }
        lines += overview.upstreams.map { line(of: $0, at: overview.at) }
        return lines
    }

    private func line(of upstream: UpstreamStatistics, at now: Int64) -> String {
        let endpoints = upstream.endpoints.map { endpoint in
            var text = "\(safe(endpoint.address)) \(endpoint.healthy ? "" : "unhealthy, ")\(safe(endpoint.breaker))"
            if let since = endpoint.since { text += " for \(Readable.duration(now - since))" }
            return text
        }
        return "upstream \(safe(upstream.name))  \(safe(upstream.state)), \(upstream.active) active, \(upstream.waiting) waiting; "
            + endpoints.joined(separator: "; ")
    }

    private func figure(_ name: String, _ figure: ResourceFigure, _ format: (Int) -> String = { "\($0)" }) -> String {
        Self.pad(safe(name), 20) + Self.right(format(figure.current), 12) + Self.right(format(figure.peak), 12)
            + Self.right(figure.limit.map(format) ?? "none", 12)
    }

    private func number(_ value: Double) -> String { value == value.rounded() ? "\(Int64(value))" : "\(value)" }

    // MARK: Sessions

    private var tableHeader: String {
        func title(_ text: String, _ column: SessionSort) -> String { sort == column ? text + "*" : text }
        return Self.pad("SESSION", 26) + "  " + Self.pad("STATE", 9) + Self.right(title("MEMORY", .memory), 10)
            + Self.right(title("QUEUE", .queue), 10) + Self.right(title("RTT", .rtt), 10) + Self.right(title("ERRORS", .errors), 8)
            + Self.right(title("AGE", .age), 14) + "  " + Self.pad("USER", 16) + "  TITLE"
    }

    private func row(_ session: SessionSummary) -> String {
        let now = overview?.at ?? session.lastMessageAt
        return Self.pad(safe(session.sessionID), 26) + "  " + Self.pad(session.state.rawValue, 9)
            + Self.right(Readable.size(UInt64(max(0, session.memoryBytes))), 10)
            + Self.right(Readable.size(UInt64(max(0, session.queueBytes ?? 0))), 10)
            + Self.right(session.roundTripMilliseconds.map { Readable.duration($0) } ?? "-", 10) + Self.right("\(session.errors)", 8)
            + Self.right(Readable.duration(now - session.startedAt), 14) + "  " + Self.pad(safe(session.user ?? "-"), 16) + "  "
            + safe(session.title ?? "")
    }

    private func safe(_ text: String) -> String { ClientText.safe(text) }

    // MARK: Columns

    /// Returns the text with spaces after it, or cut, so that it has a width.
    private static func pad(_ text: String, _ width: Int) -> String {
        let cut = cut(text, to: width)
        return cut + String(repeating: " ", count: max(0, width - DisplayWidth.of(cut)))
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - DisplayWidth.of(text))) + text
    }

    /// Returns the text, cut to a width, with an ellipsis if it was longer.
    package static func cut(_ text: String, to width: Int) -> String {
        guard DisplayWidth.of(text) > width else { return text }
        var (result, used) = ("", 0)
        for character in text {
            let next = DisplayWidth.of(character)
            guard used + next < width else { break }
            result.append(character)
            used += next
        }
        return width > 0 ? result + "…" : ""
    }

    private static func trimmed(_ text: String) -> String {
        var text = text
        while text.last == " " { text.removeLast() }
        return text
    }
}
