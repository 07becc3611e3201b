// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Synchronization

/// Records requests to the operations listener that its gate rejects. Precedes the gate.
struct OperationsRejectionAudit: RouterMiddleware {
    private final class Throttle: Sendable {
        let state = Mutex(LogThrottle<AuditEvent>(lines: LoopAudit.rejectionsPerSecond, per: .seconds(1)))
    }

    private let log: AuditLog
    private let throttle = Throttle()

    init(log: AuditLog) { self.log = log }

    func handle(
        _ request: Request, context: OperationsRequestContext,
        next: @concurrent (Request, OperationsRequestContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let problem as OperationsProblem {
            if problem.status == .unauthorized || problem.status == .forbidden { record(problem, request, context) }
            throw problem
        }
    }

    private func record(_ problem: OperationsProblem, _ request: Request, _ context: OperationsRequestContext) {
        let now = Instant(nanoseconds: LoopClock.monotonicNanoseconds())
        guard case .write(let suppressed) = throttle.state.withLock({ $0.admit(.refuse, now: now) }) else { return }
        var details: [AuditRecord.Detail] = [
            .init("listener", "operations"), .init("method", request.method.rawValue),
            .init("path", OperationsGateMiddleware.path(of: request)), .init("status", problem.status.code),
            .init("reason", problem.detail), .init("correlation_id", .id(context.correlationID)),
        ]
        if suppressed > 0 { details.append(.init("suppressed", suppressed)) }
        log.record(AuditRecord(.refuse, at: LoopClock.wallMilliseconds(), from: context.address, details: details))
    }
}

/// Records what operators do: every request that can change something, and every request that needs the right `supervise`. Follows the
/// gate, which identifies the operator.
struct OperationsActionAudit: RouterMiddleware {
    let log: AuditLog
    let table: OperationsRouteTable

    func handle(
        _ request: Request, context: OperationsRequestContext,
        next: @concurrent (Request, OperationsRequestContext) async throws -> Response
    ) async throws -> Response {
        let access = table.route(request.uri.path)?.access(request.method)
        guard let access, access != .open else { return try await next(request, context) }
        let isReading = request.method == .get || request.method == .head
        guard !isReading || access == .supervise else { return try await next(request, context) }
        do {
            let response = try await next(request, context)
            // Another node has executed and recorded the request.
            guard response.headers[.parleyNode] == nil else { return response }
            record(request, context, access, status: response.status)
            return response
        } catch {
            record(request, context, access, status: (error as? OperationsProblem)?.status ?? .internalServerError)
            throw error
        }
    }

    private func record(
        _ request: Request, _ context: OperationsRequestContext, _ access: OperationsRoute.Access, status: HTTPResponse.Status
    ) {
        let path = OperationsGateMiddleware.path(of: request)
        let isErasure = request.method == .delete && access == .erase
        let session = path.split(separator: "/").lazy.compactMap { ULID(String($0)) }.first
        log.record(
            AuditRecord(
                isErasure ? .erase : .operatorAction, at: LoopClock.wallMilliseconds(), who: context.identity.name, from: context.address,
                session: session,
                details: [
                    .init("method", request.method.rawValue), .init("path", path), .init("status", status.code),
                    .init("correlation_id", .id(context.correlationID)),
                ]))
    }
}
