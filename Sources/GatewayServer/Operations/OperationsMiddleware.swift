import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging

/// Outermost: turns whatever goes wrong inside into a problem, and puts the fields on every answer that keep browsers and caches out.
struct OperationsProblemMiddleware: RouterMiddleware {
    /// The methods of each path, an id in it as `:id` and a name as `:name`, for `Allow` (RFC 9110 §15.5.6).
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
                status: .internalServerError, code: .internal, detail: "something went wrong inside; see the log")
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
            return OperationsProblem(status: .notFound, code: .notFound, detail: "there is nothing at this path")
        }
        return OperationsProblem(
            status: .methodNotAllowed, code: .notFound, detail: "this path takes \(allowed)", fields: [.allow: allowed])
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

/// Asks the ``OperationsGate`` before anything is routed.
struct OperationsGateMiddleware: RouterMiddleware {
    let gate: OperationsGate
    let token: @Sendable () -> String?

    func handle(
        _ request: Request, context: OperationsRequestContext,
        next: @concurrent (Request, OperationsRequestContext) async throws -> Response
    ) async throws -> Response {
        var asked = OperationsGate.Request(path: Self.path(of: request), host: request.head.authority)
        // HTTPTypes takes the first `Host` out of the fields; what is still there is a second.
        asked.hasSeveralHosts = request.headers.contains { $0.name.canonicalName == "host" }
        asked.origin = request.headers[.origin]
        asked.fetchSite = request.headers[.secFetchSite]
        asked.authorization = request.headers[.authorization]
        let verdict = gate.verdict(on: asked, token: token())
        guard let problem = Self.problem(verdict) else {
            var context = context
            context.hidesDetails = !gate.namesListener(asked.host)
            return try await next(request, context)
        }
        context.logger.info("operations request refused", metadata: ["reason": .string("\(verdict)"), "path": .string(asked.path)])
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
            OperationsProblem(status: .badRequest, code: .forbidden, detail: "exactly one Host is needed")
        case .foreignHost:
            OperationsProblem(status: .forbidden, code: .forbidden, detail: "Host must be an IP address, localhost or the configured host")
        case .foreignOrigin:
            OperationsProblem(status: .forbidden, code: .originDenied, detail: "web pages of other origins can't use this listener")
        case .unauthorized:
            OperationsProblem(
                status: .unauthorized, code: .unauthorized, detail: "send Authorization: Bearer and the operations token",
                fields: [.wwwAuthenticate: "Bearer realm=\"parley operations\""])
        case .noTokenConfigured:
            OperationsProblem(status: .forbidden, code: .forbidden, detail: "closed until operations.token is configured")
        }
    }
}

/// Refuses what has no room: a body over the listener's limit, and everything but health on a connection that is there for health only.
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
        try request.refuseBody(over: limits.bodyBytes, "no body of more than \(limits.bodyBytes) bytes is taken")
        return try await next(request, context)
    }
}

extension HTTPField.Name {
    /// Fetch Metadata: whether a page of another site made the request.
    static var secFetchSite: HTTPField.Name { fetchSiteName }
    static var crossOriginResourcePolicy: HTTPField.Name { resourcePolicyName }

    private static let fetchSiteName = HTTPField.Name("Sec-Fetch-Site") ?? .origin
    private static let resourcePolicyName = HTTPField.Name("Cross-Origin-Resource-Policy") ?? .xContentTypeOptions
}
