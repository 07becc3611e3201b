/// Numbers as people read them.
package enum Readable {
    /// Seconds, in UTC.
    package static func time(_ unixMilliseconds: Int64) -> String {
        var bytes: [UInt8] = []
        WallTime(unixMilliseconds: unixMilliseconds).appendDateAndTime(to: &bytes)
        return String(decoding: bytes.prefix(10), as: UTF8.self) + " " + String(decoding: bytes.dropFirst(11).prefix(8), as: UTF8.self)
    }

    package static func duration(_ milliseconds: Int64) -> String {
        let seconds = max(0, milliseconds) / 1000
        if seconds < 60 { return "\(seconds).\(max(0, milliseconds) % 1000 / 100) s" }
        if seconds < 3600 { return "\(seconds / 60) min \(seconds % 60) s" }
        return "\(seconds / 3600) h \(seconds % 3600 / 60) min"
    }

    package static func milliseconds(_ value: Double) -> String {
        value < 10 ? "\((value * 10).rounded() / 10)" : "\(Int64(min(value, 1e12).rounded()))"
    }

    package static func size(_ bytes: UInt64) -> String {
        var (value, unit) = (Double(bytes), 0)
        let units = ["B", "KB", "MB", "GB", "TB"]
        while value >= 1000, unit < units.count - 1 { (value, unit) = (value / 1000, unit + 1) }
        return unit == 0 ? "\(bytes) B" : "\((value * 10).rounded() / 10) \(units[unit])"
    }
}
