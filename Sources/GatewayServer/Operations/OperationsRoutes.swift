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
    let resetUpstream: @Sendable (String) -> UpstreamStatistics?
    let sessions: SessionRoutes

    func router(
        gate: OperationsGate, token: @escaping @Sendable () -> String?, limits: OperationsServer.Limits, connections: OperationsConnections
    ) -> Router<OperationsRequestContext> {
        let router = Router(context: OperationsRequestContext.self, options: .autoGenerateHeadEndpoints)
        router.add(
            middleware: OperationsProblemMiddleware(
                methods: [
                    "/livez": "GET, HEAD, OPTIONS", "/readyz": "GET, HEAD, OPTIONS", "/health": "GET, HEAD, OPTIONS",
                    "/v1/gateway": "GET, HEAD",
                    "/v1/gateway/reload": "POST", "/v1/upstreams/:name/reset": "POST",
                ].merging(SessionRoutes.methods) { first, _ in first }))
        router.add(middleware: OperationsGateMiddleware(gate: gate, token: token))
        router.add(middleware: OperationsCapacityMiddleware(limits: limits, connections: connections))
        // Load balancers check with OPTIONS, too: it is the method of HAProxy's `option httpchk` unless told otherwise.
        for method in [HTTPRequest.Method.get, .options] { addHealth(to: router, method) }
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
        router.post("/v1/upstreams/:name/reset") { [resetUpstream] request, context in
            try await Self.discardBody(of: request)
            guard let upstream = context.parameters.get("name").flatMap(resetUpstream) else {
                throw OperationsProblem(status: .notFound, code: .notFound, detail: "there is no such upstream")
            }
            return try Self.json(upstream)
        }
        sessions.add(to: router)
        return router
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

    static func json(_ value: some Encodable) throws -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: try SortedJSON.encode(value))))
    }

    static func discardBody(of request: Request) async throws {
        _ = try await body(of: request, upTo: longestBody, "no body of more than \(longestBody) bytes is taken")
    }

    /// The whole body of a request; one over its limit is refused with 413, by its `Content-Length` before a byte of it is read.
    static func body(of request: Request, upTo limit: Int, _ refusal: String) async throws -> ByteBuffer {
        try refuseBody(of: request, over: limit, refusal)
        do {
            return try await request.body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw OperationsProblem(status: .contentTooLarge, code: .messageTooLarge, detail: refusal, closes: true)
        }
    }

    /// A `Content-Length` that is no number was refused by the parser, except for one that overflows.
    static func refuseBody(of request: Request, over limit: Int, _ refusal: String) throws {
        guard let length = request.headers[.contentLength], (Int(length) ?? .max) > limit else { return }
        throw OperationsProblem(status: .contentTooLarge, code: .messageTooLarge, detail: refusal, closes: true)
    }
}
