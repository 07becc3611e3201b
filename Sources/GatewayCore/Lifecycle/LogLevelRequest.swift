// SPDX-License-Identifier: Apache-2.0

/// A request for a temporary log level: `{"level":"debug","for":"10m"}`. Only `level` is required.
package struct LogLevelRequest: Sendable, Equatable {
    /// The levels, the least severe first.
    package static let levels = ["trace", "debug", "info", "notice", "warning", "error", "critical"]
    /// The bounds of `for`, in milliseconds.
    static let durations: ClosedRange<Int64> = 1000...86_400_000

    /// One of ``levels``.
    package let level: String
    /// Milliseconds; 10 minutes without `for`.
    package let duration: Int64

    package init(json: [UInt8]) throws(TokenRequest.Fault) {
        let document = try TokenRequest.document(json)
        var (level, duration): (String?, Int64) = (nil, 600_000)
        for (name, value) in document.members(of: document.root) ?? [] {
            switch name {
            case "level":
                guard let text = document.string(value), Self.levels.contains(text) else {
                    throw TokenRequest.Fault("level must be one of \(Self.levels.joined(separator: ", "))")
                }
                level = text
            case "for":
                guard let number = document.string(value).flatMap({ DurationNotation.milliseconds($0) }), Self.durations.contains(number)
                else { throw TokenRequest.Fault("for must be a duration from 1s to 24h, such as \"10m\"") }
                duration = number
            default: throw TokenRequest.Fault("unknown member; the members are level and for")
            }
        }
        guard let level else { throw TokenRequest.Fault("level is required") }
        self.level = level
        self.duration = duration
    }
}
