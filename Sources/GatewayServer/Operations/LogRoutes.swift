// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore

/// The routes of the log: its newest lines, and its level.
struct LogRoutes: OperationsRouteGroup {
    let tail: LogTail
    let level: LogLevelControl
    let logger: Logger

    private struct LevelReport: Encodable {
        var level: String
        /// Unix milliseconds.
        var until: Int64
        /// The level of the configuration, which takes effect again then.
        var configured: String
    }

    private struct Dropped: Encodable {
        var count: UInt64
    }

    var routes: [OperationsRoute] {
        [OperationsRoute("/v1/logs", [.get: .read]), OperationsRoute("/v1/gateway/log-level", [.post: .operate])]
    }

    func add(to router: Router<OperationsRequestContext>) {
        router.get("/v1/logs") { [self] request, _ in try lines(request) }
        router.post("/v1/gateway/log-level") { [self] request, context in try await setLevel(request, context) }
    }

    // MARK: Lines

    private func lines(_ request: Request) throws -> Response {
        let query = request.uri.queryParameters
        var filter = LogTail.Filter()
        if let text = query["level"] {
            guard let level = Logger.Level(rawValue: String(text)) else { throw Self.invalidLevel("level") }
            filter.level = level
        }
        filter.sessionID = try Self.id(query["session_id"], "session_id")
        filter.correlationID = try Self.id(query["correlation_id"], "correlation_id")
        let follows: Bool
        switch query["follow"] {
        case nil, "false": follows = false
        case "", "true": follows = true
        default: throw OperationsProblem.invalid("follow must be true or false")
        }
        return Response.eventStream { [tail, filter] events in
            // Registered before the first read, so that no line is missed between the two.
            let changes = follows ? tail.follow() : nil
            var last = try await Self.send(from: tail, after: Progress(), filter, to: &events)
            guard let changes else { return }
            var lastSent = ContinuousClock.now
            for await _ in changes {
                let before = last.sent
                last = try await Self.send(from: tail, after: last, filter, to: &events)
                if last.sent > before {
                    lastSent = .now
                } else if .now - lastSent >= EventStream.keepAlive {
                    lastSent = .now
                    try await events.keepAlive()
                }
            }
        }
    }

    /// The progress of a reader.
    private struct Progress {
        /// The number of the last line that was examined.
        var number: UInt64 = 0
        /// The number of events that were sent.
        var sent: UInt64 = 0
    }

    /// Sends the lines that have been written since.
    @concurrent private static func send(
        from tail: LogTail, after last: Progress, _ filter: LogTail.Filter, to events: inout EventStreamWriter
    ) async throws -> Progress {
        var progress = last
        while true {
            let batch = tail.read(after: progress.number, filter)
            progress.number = batch.last
            if batch.dropped > 0 {
                try await events.send(event: "dropped", data: try SortedJSON.encode(Dropped(count: batch.dropped)))
            }
            for line in batch.lines { try await events.send(event: "line", data: line.json) }
            progress.sent += UInt64(batch.lines.count) + (batch.dropped > 0 ? 1 : 0)
            if batch.isLast { return progress }
        }
    }

    private static func id(_ text: Substring?, _ name: String) throws -> String? {
        guard let text else { return nil }
        guard let id = ULID(String(text)) else { throw OperationsProblem.invalid("\(name) must be an id of 26 letters and digits") }
        return "\(id)"
    }

    private static func invalidLevel(_ name: String) -> OperationsProblem {
        .invalid("\(name) must be one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))")
    }

    // MARK: Level

    private func setLevel(_ request: Request, _ context: OperationsRequestContext) async throws -> Response {
        let body = try await request.collectBody(upTo: 1024, "request body too large; the limit is 1024 bytes")
        let wanted: LogLevelRequest
        do throws(TokenRequest.Fault) {
            wanted = try LogLevelRequest(json: Array(body.readableBytesView))
        } catch {
            throw OperationsProblem.invalid(error.detail)
        }
        guard let new = Logger.Level(rawValue: wanted.level) else { throw Self.invalidLevel("level") }
        let until = level.override(new, for: .milliseconds(wanted.duration))
        logger.notice(
            "log level changed",
            metadata: [
                "level": "\(wanted.level)", "duration_ms": .stringConvertible(wanted.duration), "operator": "\(context.identity.name)",
            ])
        return try Response.json(LevelReport(level: wanted.level, until: until, configured: level.configured.rawValue))
    }
}

extension OperationsFeature {
    /// The log.
    package static func log(_ tail: LogTail, level: LogLevelControl, logger: Logger) -> OperationsFeature {
        OperationsFeature(LogRoutes(tail: tail, level: level, logger: logger))
    }
}
