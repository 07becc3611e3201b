// SPDX-License-Identifier: Apache-2.0

/// An incremental parser for the events of the operations listener (HTML Standard §9.2.6): types and data. Lines end with a line feed.
package struct EventStreamParser: Sendable {
    package struct Event: Sendable, Hashable {
        package var type: String
        package var data: [UInt8]
    }

    /// The event exceeds the limit.
    package struct TooLong: Error {}

    private let limit: Int
    private var line: [UInt8] = []
    private var type = ""
    private var data: [UInt8] = []
    private var hasData = false

    /// - Parameter limit: the maximum size of an event in bytes
    package init(limit: Int) { self.limit = limit }

    /// Parses the next bytes of the stream, and returns the events that they complete.
    package mutating func receive(_ bytes: some Sequence<UInt8>) throws(TooLong) -> [Event] {
        var events: [Event] = []
        for byte in bytes {
            guard byte == 0x0A else {
                guard line.count + data.count < limit else { throw TooLong() }
                line.append(byte)
                continue
            }
            endLine(&events)
            line.removeAll(keepingCapacity: true)
        }
        return events
    }

    private mutating func endLine(_ events: inout [Event]) {
        guard !line.isEmpty else {
            if hasData { events.append(Event(type: type.isEmpty ? "message" : type, data: data)) }
            (type, data, hasData) = ("", [], false)
            return
        }
        let name = line.prefix { $0 != UInt8(ascii: ":") }
        var value = line.dropFirst(name.count + 1)
        if value.first == 0x20 { value = value.dropFirst() }
        switch String(decoding: name, as: UTF8.self) {
        case "event": type = String(decoding: value, as: UTF8.self)
        case "data":
            if hasData { data.append(0x0A) }
            data += value
            hasData = true
        default: break
        }
    }
}
