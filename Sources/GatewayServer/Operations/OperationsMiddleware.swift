// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging

/// The outermost middleware: turns errors into problem responses, and adds the header fields that protect every response from browsers and
/// caches.
struct OperationsProblemMiddleware: RouterMiddleware {
    /// The methods of each path, for `Allow` (RFC 9110 §15.5.6); `:id` matches an id and `:name` a name.
    let methods: [String: String]

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
        response.headers[.cacheControl] = "no-store"
        response.headers[.xContentTypeOptions] = "nosniff"
        response.headers[.crossOriginResourcePolicy] = "same-origin"
        return response
    }

    private func notFound(_ request: Request) -> OperationsProblem {
        let path = request.uri.path.split(separator: "/")
        guard let allowed = methods.first(where: { Self.matches($0.key.split(separator: "/"), path) })?.value else {
            return OperationsProblem(status: .notFound, code: .notFound, detail: "unknown path")
        }
        return OperationsProblem(
            status: .methodNotAllowed, code: .notFound, detail: "method not allowed; this path supports \(allowed)",
            fields: [.allow: allowed])
    }
}

extension OperationsProblemMiddleware {
    fileprivate static func matches(_ pattern: [Substring], _ path: [Substring]) -> Bool {
        pattern.count == path.count
            && zip(pattern, path).allSatisfy { wanted, part in
                wanted == part || wanted == ":name" || (wanted == ":id" && ULID(String(part)) != nil)
            }
    }
}

/// Applies the ``OperationsGate`` before requests are routed.
struct OperationsGateMiddleware: RouterMiddleware {
    let gate: OperationsGate
    let token: @Sendable () -> String?

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
        let verdict = gate.verdict(on: checked, token: token())
        guard let problem = Self.problem(verdict) else {
            var context = context
            context.hidesDetails = !gate.isListenerHost(checked.host)
            return try await next(request, context)
        }
        context.logger.info("operations request rejected", metadata: ["reason": .string("\(verdict)"), "path": .string(checked.path)])
        throw problem
    }

    static func path(of request: Request) -> String {
        let target = request.head.path ?? ""
        return String(target.prefix { $0 != "?" })
    }

    private static func problem(_ verdict: OperationsGate.Verdict) -> OperationsProblem? {
        switch verdict {
        case .pass: nil
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
                detail: "missing or wrong token; send Authorization: Bearer and operations.token",
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
        if !isHealth, connections.service(of: context.connection) == .healthOnly {
            throw OperationsProblem(
                status: .serviceUnavailable, code: .connectionLimit,
                detail: "Connection limit reached (\(limits.connections)); retry after 1 s", fields: [.retryAfter: "1"])
        }
        try request.rejectBody(over: limits.bodyBytes, "request body too large; the limit is \(limits.bodyBytes) bytes")
        return try await next(request, context)
    }
}

extension HTTPField.Name {
    /// Fetch Metadata: whether a page of another site sent the request.
    static var secFetchSite: HTTPField.Name { fetchSiteName }
    static var crossOriginResourcePolicy: HTTPField.Name { resourcePolicyName }

    private static let fetchSiteName = HTTPField.Name("Sec-Fetch-Site") ?? .origin
    private static let resourcePolicyName = HTTPField.Name("Cross-Origin-Resource-Policy") ?? .xContentTypeOptions
}
