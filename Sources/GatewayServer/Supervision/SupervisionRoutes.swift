// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore

/// The routes of operators who supervise a session: whisper, take over, say, hand back.
struct SupervisionRoutes: OperationsRouteGroup {
    let targets: any PushTargets
    /// Returns the current limit on texts.
    let rules: @Sendable () -> ValidationRules
    let logger: Logger

    var routes: [OperationsRoute] {
        SupervisionCommand.Kind.allCases.map { OperationsRoute("/v1/sessions/:id/\($0.name)", [.post: .supervise]) }
    }

    func add(to router: Router<OperationsRequestContext>) {
        for kind in SupervisionCommand.Kind.allCases {
            router.post("/v1/sessions/:id/\(kind.name)") { [self] request, context in try await perform(kind, request, context) }
        }
    }

    private func perform(
        _ kind: SupervisionCommand.Kind, _ request: Request, _ context: OperationsRequestContext
    ) async throws -> Response {
        guard let id = context.parameters.get("id").flatMap({ ULID($0) }) else { throw OperationsProblem.unknownSession }
        let command = try await command(kind, request)
        switch await targets.supervise(id, command, by: context.identity.name) {
        case nil: throw OperationsProblem.unknownSession
        case .failure(let fault): throw OperationsProblem(fault)
        case .success(let report):
            logger.info(
                "session supervised",
                metadata: [
                    "action": "\(kind.name)", "session_id": "\(id)", "by": "\(context.identity.name)",
                    "correlation_id": "\(context.correlationID)",
                ])
            return try Response.json(SupervisionAnswer(id, report))
        }
    }

    private func command(_ kind: SupervisionCommand.Kind, _ request: Request) async throws -> SupervisionCommand {
        switch kind {
        case .takeover, .handback:
            try await request.discardBody()
            return kind == .takeover ? .takeOver : .handBack
        case .whisper, .say:
            let rules = rules()
            let limit = PushRoutes.maximumBytes(rules)
            let body = Array(try await request.collectBody(upTo: limit, "body too large; the limit is \(limit) bytes").readableBytesView)
            do throws(PushRequest.Fault) {
                let text = try SupervisionCommand.text(json: body, rules: rules)
                return kind == .whisper ? .whisper(text) : .say(text)
            } catch {
                throw OperationsProblem(error)
            }
        }
    }
}

/// The response to a command: the state of the session's supervision.
private struct SupervisionAnswer: Encodable {
    struct Reference: Encodable { let id: String }

    let sessionID: String
    let answeredBy: String
    let operatorName: String?
    let openRequests: Int
    let whispers: Int
    let handsBackInMilliseconds: Int64?
    let seq: UInt64?
    let replyTo: String?
    let push: Reference?

    init(_ session: ULID, _ report: SupervisionReport) {
        sessionID = "\(session)"
        answeredBy = report.answeredBy == nil ? "upstream" : "operator"
        operatorName = report.answeredBy
        openRequests = report.openRequests
        whispers = report.whispers
        handsBackInMilliseconds = report.handsBackIn
        seq = report.sequence
        replyTo = report.replyTo.map { "\($0)" }
        push = report.push.map { Reference(id: "\($0)") }
    }

    enum CodingKeys: String, CodingKey {
        case sessionID = "session_id"
        case answeredBy = "answered_by"
        case operatorName = "operator"
        case openRequests = "open_requests"
        case whispers
        case handsBackInMilliseconds = "hands_back_in_ms"
        case seq
        case replyTo = "reply_to"
        case push
    }
}

extension OperationsProblem {
    fileprivate init(_ fault: SupervisionFault) {
        switch fault {
        case .notTakenOver: self.init(status: .conflict, code: .invalidMessage, detail: "the session isn't taken over; take it over first")
        case .takenOver(let name):
            self.init(status: .conflict, code: .invalidMessage, detail: "\(name) has taken the session over; hand it back first")
        case .whispersFull:
            self.init(
                status: .tooManyRequests, code: .overloaded,
                detail: "too many whispers wait for the next request (\(Supervision.maximumWhispers), or 100 KB)")
        case .undeliverable(let reason):
            self.init(
                status: .serviceUnavailable, code: .overloaded, detail: "the text can't be delivered at the moment: \(reason.rawValue)")
        }
    }
}
