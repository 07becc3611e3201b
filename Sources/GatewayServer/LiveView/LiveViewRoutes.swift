// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
package import Logging

/// The routes that show a session while it is live: its timeline and its messages.
struct LiveViewRoutes: OperationsRouteGroup {
    let sessions: SessionOperations
    let taps: any SessionTapDirectory
    let logger: Logger

    /// Texts require the right `content` in addition to that of the route.
    let routes = [
        OperationsRoute("/v1/sessions/:id/timeline", [.get: .read]), OperationsRoute("/v1/sessions/:id/tap", [.get: .supervise]),
    ]

    func add(to router: Router<OperationsRequestContext>) {
        router.get("/v1/sessions/:id/timeline") { [sessions] _, context in
            guard let timeline = try await sessions.timeline(try SessionRoutes.id(context), withTexts: context.has(.content)) else {
                throw SessionRoutes.unknownSession
            }
            return try Response.json(timeline)
        }
        router.get("/v1/sessions/:id/tap") { [self] request, context in
            let id = try SessionRoutes.id(context)
            // A HEAD request would only use up a tap.
            guard request.method != .head else { return Response(status: .ok, headers: [.contentType: EventStream.contentType]) }
            return try await tap(id, context)
        }
    }

    private struct Beginning: Encodable {
        var sessionID: String
        /// Whether the frames have contents.
        var content: Bool

        enum CodingKeys: String, CodingKey {
            case sessionID = "session_id"
            case content
        }
    }

    private struct Dropped: Encodable { var count: Int }
    private struct Ending: Encodable { var reason = "session_ended" }

    private func tap(_ id: ULID, _ context: OperationsRequestContext) async throws -> Response {
        let tap = SessionTap(includesContent: context.has(.content) && sessions.allowsContent)
        let lease = SessionTapLease(tap)
        switch await taps.attach(tap, to: id) {
        case .attached: break
        case .full:
            throw OperationsProblem(
                status: .conflict, code: .connectionLimit,
                detail: "Limit of taps reached (\(SessionTap.maximumTaps) for a session); close another one")
        case .unknown: throw SessionRoutes.unknownSession
        }
        // Listening to users is never silent.
        logger.notice(
            "session tapped",
            metadata: [
                "session_id": "\(id)", "operator": "\(context.identity.name)", "address": "\(context.address ?? "unknown")",
                "content": "\(tap.includesContent)", "correlation_id": "\(context.correlationID)",
            ])
        return .eventStream { events in
            let tap = lease.tap
            try await events.send(
                event: "session", data: try SortedJSON.encode(Beginning(sessionID: "\(id)", content: tap.includesContent)))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    while true {
                        try await Task.sleep(for: EventStream.keepAlive)
                        tap.wake()
                    }
                }
                defer { group.cancelAll() }
                while let batch = await tap.next() {
                    for frame in batch.frames { try await events.send(event: "frame", data: try SortedJSON.encode(frame)) }
                    if batch.dropped > 0 {
                        try await events.send(event: "dropped", data: try SortedJSON.encode(Dropped(count: batch.dropped)))
                    }
                    if batch.frames.isEmpty { try await events.keepAlive() }
                }
            }
            try await events.send(event: "end", data: try SortedJSON.encode(Ending()))
        }
    }
}

extension OperationsFeature {
    /// Creates the feature of timelines and taps.
    package static func liveView(
        sessions: SessionOperations, taps: any SessionTapDirectory, logger: Logger = Logger(label: "parley.operations")
    ) -> OperationsFeature {
        OperationsFeature(LiveViewRoutes(sessions: sessions, taps: taps, logger: logger))
    }
}
