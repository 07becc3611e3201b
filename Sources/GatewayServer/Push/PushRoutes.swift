// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore

/// The routes of pushes: into a session, into the sessions of a user, into all; undelivered ones, their retry.
struct PushRoutes: OperationsRouteGroup {
    static let pageSize = 100
    static let maximumPageSize = 1000
    /// The maximum size of the body of a retry, in bytes.
    static let maximumRetryBytes = 64_000
    /// The size of a body in addition to its recording or text, in bytes.
    static let envelopeBytes = 16_384

    let service: PushService
    /// Returns the current limits on texts and recordings.
    let rules: @Sendable () -> ValidationRules
    let logger: Logger
    /// The requests to other nodes; nil outside of a cluster.
    var requests: OperatorRequests?

    var routes: [OperationsRoute] {
        [
            OperationsRoute("/v1/sessions/:id/messages", [.post: .push]), OperationsRoute("/v1/users/:name/messages", [.post: .push]),
            OperationsRoute("/v1/messages", [.post: .push]), OperationsRoute("/v1/undelivered", [.get: .push]),
            OperationsRoute("/v1/undelivered/retry", [.post: .push]),
        ]
    }

    func add(to router: Router<OperationsRequestContext>) {
        router.post("/v1/sessions/:id/messages") { [self] request, context in
            guard let id = context.parameters.get("id").flatMap({ ULID($0) }) else { throw OperationsProblem.unknownSession }
            return try await push(request, context, to: .session(id))
        }
        router.post("/v1/users/:name/messages") { [self] request, context in
            guard let user = context.parameters.get("name").flatMap({ try? RequestTarget.decoded($0[...]) }), TokenRules.isValid(user: user)
            else { throw OperationsProblem.invalid("the user must be 1 to 128 characters of printable ASCII") }
            return try await push(request, context, to: .user(user))
        }
        router.post("/v1/messages") { [self] request, context in try await push(request, context, to: .all) }
        router.get("/v1/undelivered") { [self] request, context in try await list(request, context) }
        router.post("/v1/undelivered/retry") { [self] request, context in try await retry(request, context) }
    }

    private func push(
        _ request: Request, _ context: OperationsRequestContext, to target: PushService.Target
    ) async throws -> Response {
        let key = try Self.key(request, context)
        let rules = rules()
        let limit = Self.maximumBytes(rules)
        let body = Array(try await request.collectBody(upTo: limit, "body too large; the limit is \(limit) bytes").readableBytesView)
        let message: PushRequest
        do throws(PushRequest.Fault) {
            message = try PushRequest(json: body, rules: rules)
        } catch {
            throw OperationsProblem(error)
        }
        let answer: PushAnswer
        do {
            answer = try await service.push(message, to: target, key: key, body: body)
        } catch IdempotentRequests.Fault.conflict {
            throw OperationsProblem(
                status: .unprocessableContent, code: .duplicateID, detail: "this Idempotency-Key belongs to another request")
        } catch IdempotentRequests.Fault.full {
            throw OperationsProblem(
                status: .serviceUnavailable, code: .overloaded,
                detail: "too many idempotency keys within 24 h; retry later, or without Idempotency-Key")
        } catch IdempotentRequests.Fault.pending {
            throw OperationsProblem(
                status: .serviceUnavailable, code: .overloaded, detail: "another node performs the request with this Idempotency-Key",
                fields: [.retryAfter: "5"])
        } catch IdempotentRequests.Fault.unknownOutcome {
            throw OperationsProblem(
                status: .conflict, code: .duplicateID,
                detail: "the node that performed the request with this Idempotency-Key has died; whether it pushed isn't known")
        } catch PushService.Fault.unknownSession {
            throw OperationsProblem.unknownSession
        }
        logger.info(
            "message pushed",
            metadata: [
                "push_id": "\(answer.id)", "by": "\(context.identity.name)", "sessions": .stringConvertible(answer.total),
                "undelivered": .stringConvertible(answer.undelivered), "correlation_id": "\(context.correlationID)",
            ])
        return try Self.accepted(answer)
    }

    /// Returns the idempotency key, which belongs to the operator's token; nil without one.
    private static func key(_ request: Request, _ context: OperationsRequestContext) throws -> String? {
        guard let name = HTTPField.Name("Idempotency-Key"), request.headers.contains(name) else { return nil }
        let values = request.headers[values: name]
        guard values.count == 1, let value = values.first, IdempotencyKey.isValid(value) else {
            throw OperationsProblem.invalid("Idempotency-Key must be 1 to 64 characters of A-Z a-z 0-9 . _ : -")
        }
        return "\(context.identity.name)\n\(value)"
    }

    /// The maximum size of a body: base64 takes 4 bytes for 3, and an escaped character up to 6 bytes for one.
    static func maximumBytes(_ rules: ValidationRules) -> Int {
        let longest = max(min(rules.audioMaxBytes, 1 << 30) / 3 * 4 + 4, min(rules.maxTextBytes, 1 << 30) * 6)
        return min(longest, 64 << 20) + envelopeBytes
    }

    private func list(_ request: Request, _ context: OperationsRequestContext) async throws -> Response {
        var cursor: ULID?
        if let text = request.uri.queryParameters["cursor"] {
            guard let id = ULID(String(text)) else { throw OperationsProblem.invalidCursor }
            cursor = id
        }
        let limit = try request.pageSize(upTo: Self.maximumPageSize, default: Self.pageSize)
        // One more than the limit shows whether there is another page.
        let found = service.targets.undelivered.page(after: cursor, limit: limit + 1)
        let page = found.prefix(limit)
        var result = UndeliveredPage(
            undelivered: page.map { UndeliveredPage.Entry($0, withContent: context.has(.content)) },
            cursor: found.count > limit ? page.last.map { "\($0.id)" } : nil)
        if let requests, !context.isForwarded {
            let others = await requests.broadcast(OperatorRequest(request, context, body: []), as: UndeliveredPage.self)
            result.add(others.replies, limit: limit)
            result.missingNodes = others.missing.isEmpty ? nil : others.missing
        }
        return try Response.json(result)
    }

    private func retry(_ request: Request, _ context: OperationsRequestContext) async throws -> Response {
        let limit = Self.maximumRetryBytes
        let body = Array(try await request.collectBody(upTo: limit, "body too large; the limit is \(limit) bytes").readableBytesView)
        let retry: RetryRequest
        do throws(PushRequest.Fault) {
            retry = try RetryRequest(json: body)
        } catch {
            throw OperationsProblem(error)
        }
        let answers = await service.retry(retry.ids)
        let known = Set(answers.flatMap { [$0.entry.id, $0.entry.push.id] })
        logger.info(
            "undelivered pushes retried",
            metadata: [
                "count": .stringConvertible(answers.count), "by": "\(context.identity.name)",
                "delivered": .stringConvertible(answers.count { $0.answer.total > 0 }), "correlation_id": "\(context.correlationID)",
            ])
        var result = RetryAnswer(
            retried: answers.map { .init(id: "\($0.entry.id)", answer: $0.answer) },
            unknown: retry.ids.filter { !known.contains($0) }.map { "\($0)" })
        if let requests, !context.isForwarded, !result.unknown.isEmpty {
            let others = await requests.broadcast(
                OperatorRequest(request, context, body: body), as: RetryAnswer.self, within: .seconds(6))
            for other in others.replies {
                result.retried += other.retried
                result.unknown.removeAll { !other.unknown.contains($0) }
            }
            result.missingNodes = others.missing.isEmpty ? nil : others.missing
        }
        return try Self.accepted(result)
    }

    private static func accepted(_ value: some Encodable) throws -> Response {
        var response = try Response.json(value)
        response.status = .accepted
        return response
    }
}

extension OperationsProblem {
    static var unknownSession: OperationsProblem {
        OperationsProblem(status: .notFound, code: .notFound, detail: "there is no such session")
    }

    init(_ fault: PushRequest.Fault) {
        self =
            fault.isTooLarge
            ? OperationsProblem(status: .contentTooLarge, code: .messageTooLarge, detail: fault.detail) : .invalid(fault.detail)
    }
}
