// SPDX-License-Identifier: Apache-2.0

import DequeModule
package import Logging
import Synchronization

/// The newest log lines in memory, for operators who follow the log.
///
/// Appending takes a lock for a constant time and never waits for a reader: a reader that falls behind misses lines and learns their
/// number. Old lines are removed above ``maximumLines`` or ``maximumBytes``.
package final class LogTail: Sendable {
    /// The lines that a reader wants.
    package struct Filter: Sendable, Hashable {
        /// The least severe level.
        package var level = Logger.Level.trace
        package var sessionID: String?
        package var correlationID: String?

        package init(level: Logger.Level = .trace, sessionID: String? = nil, correlationID: String? = nil) {
            self.level = level
            self.sessionID = sessionID
            self.correlationID = correlationID
        }
    }

    /// The result of ``read(after:limit:_:)``.
    package struct Batch: Sendable {
        /// Each line as one JSON object, without the line feed, with its number.
        package var lines: [(number: UInt64, json: [UInt8])] = []
        /// The number of the last line that was examined; the next batch begins after it.
        package var last: UInt64
        /// Lines that were removed before they could be examined.
        package var dropped: UInt64 = 0
        /// Whether no further line is available now.
        package var isLast = true
    }

    private struct Line {
        var severity: Int
        var sessionID: String?
        var correlationID: String?
        var json: [UInt8]

        func matches(_ filter: Filter, severity least: Int) -> Bool {
            severity >= least && (filter.sessionID == nil || filter.sessionID == sessionID)
                && (filter.correlationID == nil || filter.correlationID == correlationID)
        }
    }

    private struct State {
        var lines: Deque<Line> = []
        var bytes = 0
        /// The number of all lines so far; the last line in ``lines`` has this number.
        var count: UInt64 = 0
        var followers: [UInt64: AsyncStream<Void>.Continuation] = [:]
        var lastFollower: UInt64 = 0
        var isFinished = false

        /// The number of the line before the first one in ``lines``.
        var start: UInt64 { count - UInt64(lines.count) }
    }

    private let maximumLines: Int
    private let maximumBytes: Int
    private let state = Mutex(State())

    package init(maximumLines: Int = 2000, maximumBytes: Int = 1 << 20) {
        self.maximumLines = maximumLines
        self.maximumBytes = maximumBytes
    }

    /// - Parameter json: the line as a JSON object and a line feed
    func append(_ line: LogLine, json: [UInt8]) {
        var kept = Line(severity: LogSink.severity(of: line.level), json: json)
        for field in line.fields {
            switch field.key {
            case "session_id": kept.sessionID = "\(field.value)"
            case "correlation_id": kept.correlationID = "\(field.value)"
            default: break
            }
        }
        if kept.json.last == 0x0A { kept.json.removeLast() }
        let followers = state.withLock { state -> [AsyncStream<Void>.Continuation] in
            state.lines.append(kept)
            state.count &+= 1
            state.bytes += kept.json.count
            while state.lines.count > maximumLines || state.bytes > maximumBytes, let oldest = state.lines.popFirst() {
                state.bytes -= oldest.json.count
            }
            return state.followers.isEmpty ? [] : Array(state.followers.values)
        }
        for follower in followers { follower.yield() }
    }

    /// Returns the lines after the line with a number, in order.
    ///
    /// - Parameters:
    ///   - number: 0 for the oldest line in memory
    ///   - limit: the maximum number of lines that are examined
    package func read(after number: UInt64, limit: Int = 256, _ filter: Filter = Filter()) -> Batch {
        let least = LogSink.severity(of: filter.level)
        return state.withLock { state in
            let first = max(number, state.start)
            var batch = Batch(last: first)
            // A reader that has read nothing yet hasn't missed the lines before it.
            if number > 0 { batch.dropped = first - number }
            let offset = Int(clamping: first - state.start)
            for line in state.lines.dropFirst(offset).prefix(limit) {
                batch.last &+= 1
                if line.matches(filter, severity: least) { batch.lines.append((batch.last, line.json)) }
            }
            batch.isLast = batch.last >= state.count
            return batch
        }
    }

    /// Returns a stream with an element after each new line and each call of ``wake()``; elements that aren't consumed are merged. The stream
    /// ends with ``finish()``.
    package func follow() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock { state -> UInt64? in
            guard !state.isFinished else { return nil }
            state.lastFollower &+= 1
            state.followers[state.lastFollower] = continuation
            return state.lastFollower
        }
        guard let number else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [self] _ in state.withLock { _ = $0.followers.removeValue(forKey: number) } }
        return stream
    }

    /// Wakes all followers, so that they can check whether their clients are still there.
    package func wake() {
        for follower in state.withLock({ Array($0.followers.values) }) { follower.yield() }
    }

    /// Ends the streams of all followers.
    package func finish() {
        let followers = state.withLock { state in
            state.isFinished = true
            return Array(state.followers.values)
        }
        for follower in followers { follower.finish() }
    }

    /// The number of readers that follow.
    package var followerCount: Int { state.withLock { $0.followers.count } }
}
