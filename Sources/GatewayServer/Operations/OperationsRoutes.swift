import FoundationEssentials
import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The routes of the operations listener, put together in one place.
struct OperationsRoutes {
    /// A body is never needed; what a tool sends along by habit may be so long, in bytes.
    static let longestBody = 1024

    let health: HealthRegistry
    let snapshot: @Sendable () async -> GatewaySnapshot
    let reload: @Sendable () async -> ReloadReport
    let sessions: SessionRoutes

    func router(gate: OperationsGate, token: @escaping @Sendable () -> String?) -> Router<OperationsRequestContext> {
        let router = Router(context: OperationsRequestContext.self, options: .autoGenerateHeadEndpoints)
        router.add(
            middleware: OperationsProblemMiddleware(
                methods: [
                    "/livez": "GET, HEAD", "/readyz": "GET, HEAD", "/health": "GET, HEAD", "/v1/gateway": "GET, HEAD",
                    "/v1/gateway/reload": "POST",
                ].merging(SessionRoutes.methods) { first, _ in first }))
        router.add(middleware: OperationsGateMiddleware(gate: gate, token: token))
        router.get("/livez") { _, _ in Self.response(.live()) }
        router.get("/readyz") { [health] _, _ in Self.response(.ready(health.report, details: true)) }
        router.get("/health") { [health, snapshot] _, _ in
            let now = await snapshot()
            let details = HealthDetails(
                version: now.version, environment: now.environment, uptimeMilliseconds: now.uptimeMilliseconds,
                connections: now.connections.open, sessions: now.sessions.attached,
                upstreams: now.upstreams.map { .init(name: $0.name, state: $0.state) })
            return Self.response(.health(health.report, details: details))
        }
        router.get("/v1/gateway") { [snapshot] _, _ in try Self.json(await snapshot()) }
        router.post("/v1/gateway/reload") { [reload] request, _ in
            try await Self.discardBody(of: request)
            let report = await reload()
            guard report.problems.isEmpty else {
                throw OperationsProblem(
                    status: .unprocessableContent, code: .invalidMessage, detail: "the new configuration is refused; the old one stays",
                    problems: report.problems)
            }
            return try Self.json(report)
        }
        sessions.add(to: router)
        return router
    }

    private static func response(_ health: HealthResponse) -> Response {
        Response(
            status: HTTPResponse.Status(code: health.status), headers: [.contentType: HealthResponse.contentType],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: health.body)))
    }

    static func json(_ value: some Encodable) throws -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: try SortedJSON.encode(value))))
    }

    static func discardBody(of request: Request) async throws {
        do {
            _ = try await request.body.collect(upTo: longestBody)
        } catch is NIOTooManyBytesError {
            throw OperationsProblem(
                status: .contentTooLarge, code: .messageTooLarge, detail: "no body of more than \(longestBody) bytes is taken", closes: true
            )
        }
    }
}
