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
        router.get("/v1/undelivered") { [self] request, context in try list(request, context) }
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

    private func list(_ request: Request, _ context: OperationsRequestContext) throws -> Response {
        var cursor: ULID?
        if let text = request.uri.queryParameters["cursor"] {
            guard let id = ULID(String(text)) else { throw OperationsProblem.invalidCursor }
            cursor = id
        }
        let limit = try request.pageSize(upTo: Self.maximumPageSize, default: Self.pageSize)
        // One more than the limit shows whether there is another page.
        let found = service.targets.undelivered.page(after: cursor, limit: limit + 1)
        let page = found.prefix(limit)
        return try Response.json(
            UndeliveredPage(
                undelivered: page.map { UndeliveredPage.Entry($0, withContent: context.has(.content)) },
                cursor: found.count > limit ? page.last.map { "\($0.id)" } : nil))
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
        return try Self.accepted(
            RetryAnswer(
                retried: answers.map { .init(id: "\($0.entry.id)", answer: $0.answer) },
                unknown: retry.ids.filter { !known.contains($0) }.map { "\($0)" }))
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
