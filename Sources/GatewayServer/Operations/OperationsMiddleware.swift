// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import Synchronization

/// The outermost middleware: turns errors into problem responses, and adds the header fields that protect every response from browsers and
/// caches.
struct OperationsProblemMiddleware: RouterMiddleware {
    let table: OperationsRouteTable

    func handle(
        _ request: Request, context: OperationsRequestContext,
        next: @concurrent (Request, OperationsRequestContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            response = try await next(request, context)
        } catch let problem as OperationsProblem {
            response = problem.response(correlationID: context.correlationID)
        } catch let error as any HTTPResponseError where error.status == .notFound {
            response = notFound(request).response(correlationID: context.correlationID)
        } catch let error as StoreError {
            context.logger.warning("operations request failed", error: error)
            let problem = OperationsProblem(
                status: .serviceUnavailable, code: .overloaded, detail: error.description, fields: [.retryAfter: "5"])
            response = problem.response(correlationID: context.correlationID)
        } catch {
            context.logger.error("operations request failed", error: error)
            let problem = OperationsProblem(
                status: .internalServerError, code: .internal, detail: "internal error; the log has the cause under this correlation_id")
            response = problem.response(correlationID: context.correlationID)
        }
        // The console, which has no data of the gateway, is revalidated instead.
        if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
        response.headers[.xContentTypeOptions] = "nosniff"
        response.headers[.crossOriginResourcePolicy] = "same-origin"
        return response
    }

    private func notFound(_ request: Request) -> OperationsProblem {
        guard let allowed = table.route(request.uri.path)?.allow else {
            return OperationsProblem(status: .notFound, code: .notFound, detail: "unknown path")
        }
        return OperationsProblem(
            status: .methodNotAllowed, code: .notFound, detail: "method not allowed; this path supports \(allowed)",
            fields: [.allow: allowed])
    }
}

/// Applies the ``OperationsGate`` and the rights of the routes before requests are routed.
struct OperationsGateMiddleware: RouterMiddleware {
    let gate: OperationsGate
    let table: OperationsRouteTable
    let tokens: @Sendable () -> [OperationsToken]
    let guesses = TokenGuesses()
    private let log = RejectionLog()

    init(gate: OperationsGate, table: OperationsRouteTable, tokens: @escaping @Sendable () -> [OperationsToken]) {
        self.gate = gate
        self.table = table
        self.tokens = tokens
    }

    func handle(
        _ request: Request, context: OperationsRequestContext,
        next: @concurrent (Request, OperationsRequestContext) async throws -> Response
    ) async throws -> Response {
        var checked = OperationsGate.Request(path: Self.path(of: request), host: request.head.authority)
        // HTTPTypes removes the first `Host` from the fields; a remaining one is a second.
        checked.hasSeveralHosts = request.headers.contains { $0.name.canonicalName == "host" }
        checked.origin = request.headers[.origin]
        checked.fetchSite = request.headers[.secFetchSite]
        checked.authorization = request.headers[.authorization]
        let access = table.route(request.uri.path)?.access(request.method)
        checked.isOpen = access == .open
        checked.isSecure = request.head.scheme == "https"
        let configured = tokens()
        let verdict = gate.verdict(on: checked, tokens: configured)
        if checked.authorization != nil, !configured.isEmpty { try limitGuesses(verdict, checked, context) }
        guard case .pass(let identity) = verdict else {
            log.write("\(verdict)", checked.path, context)
            throw Self.problem(verdict)
        }
        if case .right(let right)? = access, !identity.rights.contains(right) {
            log.write("missing right \(right.rawValue)", checked.path, context, token: identity.name)
            throw OperationsProblem.missingRight(right)
        }
        var context = context
        context.identity = identity
        context.hidesDetails = !gate.isListenerHost(checked.host)
        return try await next(request, context)
    }

    /// Counts a wrong token, and rejects every token of an address that has presented too many wrong ones.
    private func limitGuesses(
        _ verdict: OperationsGate.Verdict, _ request: OperationsGate.Request, _ context: OperationsRequestContext
    ) throws {
        let isWrong: Bool
        switch verdict {
        case .pass(.unidentified), .invalidHost, .foreignHost, .foreignOrigin, .noTokenConfigured: return
        case .pass: isWrong = false
        case .unauthorized: isWrong = true
        }
        let now = Instant(nanoseconds: LoopClock.monotonicNanoseconds())
        guard let wait = guesses.wait(of: context.client, now: now) else {
            if isWrong { guesses.failed(context.client, now: now) }
            return
        }
        log.write("too many wrong tokens", request.path, context)
        let seconds = (wait.nanoseconds + 999_999_999) / 1_000_000_000
        throw OperationsProblem(
            status: .tooManyRequests, code: .rateLimited, detail: "too many wrong tokens from this address; retry after \(seconds) s",
            fields: [.retryAfter: "\(seconds)"])
    }

    /// The log lines about rejected requests, which anyone who reaches the listener can cause, throttled.
    private final class RejectionLog: Sendable {
        private let throttle = Mutex(LogThrottle<LogTopic>(lines: 10, per: .seconds(1)))

        func write(_ reason: String, _ path: String, _ context: OperationsRequestContext, token: String? = nil) {
            let now = Instant(nanoseconds: LoopClock.monotonicNanoseconds())
            guard case .write(let suppressed) = throttle.withLock({ $0.admit(.rejection, now: now) }) else { return }
            var metadata: Logger.Metadata = ["reason": "\(reason)", "path": "\(path)"]
            if let token { metadata["token"] = "\(token)" }
            if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
            context.logger.info("operations request rejected", metadata: metadata)
        }
    }

    static func path(of request: Request) -> String {
        let target = request.head.path ?? ""
        return String(target.prefix { $0 != "?" })
    }

    private static func problem(_ verdict: OperationsGate.Verdict) -> OperationsProblem {
        switch verdict {
        case .pass: OperationsProblem(status: .internalServerError, code: .internal, detail: "the request was admitted")
        case .invalidHost:
            OperationsProblem(status: .badRequest, code: .forbidden, detail: "exactly one Host header is required")
        case .foreignHost:
            OperationsProblem(
                status: .forbidden, code: .forbidden, detail: "Host must be an IP address, localhost or the host of operations.address")
        case .foreignOrigin:
            OperationsProblem(status: .forbidden, code: .originDenied, detail: "requests from web pages of other origins are rejected")
        case .unauthorized:
            OperationsProblem(
                status: .unauthorized, code: .unauthorized,
                detail: "missing or wrong token; send Authorization: Bearer and a token of operations.token or operations.tokens",
                fields: [.wwwAuthenticate: "Bearer realm=\"parley operations\""])
        case .noTokenConfigured:
            OperationsProblem(status: .forbidden, code: .forbidden, detail: "rejected until operations.token is configured")
        }
    }
}

/// Rejects bodies over the listener's limit, and all paths except health on connections that were admitted for health only.
struct OperationsCapacityMiddleware: RouterMiddleware {
    let limits: OperationsLimits
    let connections: OperationsConnections

    func handle(
        _ request: Request, context: OperationsRequestContext,
        next: @concurrent (Request, OperationsRequestContext) async throws -> Response
    ) async throws -> Response {
        let isHealth = OperationsGate.isHealth(OperationsGateMiddleware.path(of: request))
        guard let connection = context.connection else { return try await next(request, context) }
        if !isHealth, connections.service(of: connection) == .healthOnly {
            throw OperationsProblem(
                status: .serviceUnavailable, code: .connectionLimit,
                detail: "Connection limit reached (\(limits.connections)); retry after 1 s", fields: [.retryAfter: "1"])
        }
        try request.rejectBody(over: limits.bodyBytes, "request body too large; the limit is \(limits.bodyBytes) bytes")
        let response = try await next(request, context)
        guard response.headers[.contentType] == EventStream.contentType, request.method != .head else { return response }
        guard connections.beginStream(on: connection, limit: limits.streams) else {
            throw OperationsProblem(
                status: .serviceUnavailable, code: .connectionLimit,
                detail: "Limit of event streams reached (\(limits.streams)); close one and retry", fields: [.retryAfter: "5"])
        }
        return response
    }
}

extension HTTPField.Name {
    /// Fetch Metadata: whether a page of another site sent the request.
    static var secFetchSite: HTTPField.Name { fetchSiteName }
    static var crossOriginResourcePolicy: HTTPField.Name { resourcePolicyName }

    private static let fetchSiteName = HTTPField.Name("Sec-Fetch-Site") ?? .origin
    private static let resourcePolicyName = HTTPField.Name("Cross-Origin-Resource-Policy") ?? .xContentTypeOptions
}
