// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The routes and middleware of the operations listener.
struct OperationsRoutes {
    let health: HealthRegistry
    let snapshot: @Sendable () async -> GatewaySnapshot
    let reload: @Sendable () async -> ReloadReport
    let resetUpstream: @Sendable (String) -> UpstreamStatistics?
    let groups: [any OperationsRouteGroup]
    /// Nil when the audit log is off.
    var audit: AuditLog?
    /// Nil outside of a cluster.
    var requests: OperatorRequests?

    /// The paths of this type, without those of ``groups``.
    static let routes = [
        OperationsRoute("/livez", [.get: .open, .options: .open]), OperationsRoute("/readyz", [.get: .open, .options: .open]),
        OperationsRoute("/health", [.get: .open, .options: .open]), OperationsRoute("/v1/gateway", [.get: .read]),
        OperationsRoute("/v1/gateway/reload", [.post: .operate]), OperationsRoute("/v1/upstreams/:name/reset", [.post: .operate]),
    ]

    var table: OperationsRouteTable { OperationsRouteTable(routes: Self.routes + groups.flatMap(\.routes)) }

    func router(
        gate: OperationsGate, tokens: @escaping @Sendable () -> [OperationsToken], limits: OperationsLimits,
        connections: OperationsConnections
    ) -> Router<OperationsRequestContext> {
        let table = table
        let router = Router(context: OperationsRequestContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: OperationsProblemMiddleware(table: table))
        if let audit { router.add(middleware: OperationsRejectionAudit(log: audit)) }
        router.add(middleware: OperationsGateMiddleware(gate: gate, table: table, tokens: tokens))
        if let audit { router.add(middleware: OperationsActionAudit(log: audit, table: table)) }
        router.add(middleware: OperationsCapacityMiddleware(limits: limits, connections: connections))
        if let requests {
            router.add(middleware: OperationsNodeMiddleware(requests: requests, table: table, bodyBytes: limits.bodyBytes))
        }
        addRoutes(to: router)
        return router
    }

    /// The routes and middleware for requests that other nodes have sent.
    var forwardedRouter: Router<OperationsRequestContext> {
        let table = table
        let router = Router(context: OperationsRequestContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: OperationsProblemMiddleware(table: table))
        router.add(middleware: ForwardedGateMiddleware(table: table))
        if let audit { router.add(middleware: OperationsActionAudit(log: audit, table: table)) }
        addRoutes(to: router)
        return router
    }

    private func addRoutes(to router: Router<OperationsRequestContext>) {
        // Load balancers also check with OPTIONS, the default method of HAProxy's `option httpchk`.
        for method in [HTTPRequest.Method.get, .options] { addHealth(to: router, method) }
        router.get("/v1/gateway") { [snapshot] _, _ in try Response.json(await snapshot()) }
        router.post("/v1/gateway/reload") { [reload] request, _ in
            try await request.discardBody()
            let report = await reload()
            guard report.problems.isEmpty else {
                throw OperationsProblem(
                    status: .unprocessableContent, code: .invalidMessage,
                    detail: "the new configuration has problems; the running one is unchanged",
                    problems: report.problems)
            }
            return try Response.json(report)
        }
        router.post("/v1/upstreams/:name/reset") { [resetUpstream] request, context in
            try await request.discardBody()
            guard let upstream = context.parameters.get("name").flatMap(resetUpstream) else {
                throw OperationsProblem(status: .notFound, code: .notFound, detail: "there is no such upstream")
            }
            return try Response.json(upstream)
        }
        for group in groups { group.add(to: router) }
    }

    private func addHealth(to router: Router<OperationsRequestContext>, _ method: HTTPRequest.Method) {
        router.on("/livez", method: method) { _, _ in Self.response(.live()) }
        router.on("/readyz", method: method) { [health] _, context in
            Self.response(.ready(health.report, details: !context.hidesDetails))
        }
        router.on("/health", method: method) { [health, snapshot] _, context in
            guard !context.hidesDetails else { return Self.response(.health(health.report, details: nil)) }
            let now = await snapshot()
            let details = HealthDetails(
                version: now.version, environment: now.environment, uptimeMilliseconds: now.uptimeMilliseconds,
                connections: now.connections.open, sessions: now.sessions.attached,
                upstreams: now.upstreams.map { .init(name: $0.name, state: $0.state) })
            return Self.response(.health(health.report, details: details))
        }
    }

    private static func response(_ health: HealthResponse) -> Response {
        Response(
            status: HTTPResponse.Status(code: health.status), headers: [.contentType: HealthResponse.contentType],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: health.body)))
    }
}
