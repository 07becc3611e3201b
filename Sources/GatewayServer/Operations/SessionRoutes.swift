import FoundationEssentials
import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The routes about sessions: list, look, report, close, erase.
struct SessionRoutes {
    /// Sessions of a page, unless the request says otherwise, and at most.
    static let pageSize = 50
    static let longestPage = 500

    let directory: any SessionDirectory
    /// `reports.content` at this moment.
    let holdsWhatWasSaid: @Sendable () -> Bool

    func add(to router: Router<OperationsRequestContext>) {
        router.get("/v1/sessions") { [self] request, _ in try await list(request) }
        router.get("/v1/sessions/:id") { [self] _, context in
            try Self.json(try await found(context, withTranscript: false))
        }
        router.get("/v1/sessions/:id/report") { [self] request, context in try await report(request, context) }
        router.post("/v1/sessions/:id/close") { [self] request, context in
            try await OperationsRoutes.discardBody(of: request)
            return try await done(directory.close(try Self.id(context)))
        }
        router.delete("/v1/sessions/:id") { [self] request, context in
            try await OperationsRoutes.discardBody(of: request)
            return try await done(directory.erase(try Self.id(context)))
        }
    }

    private func list(_ request: Request) async throws -> Response {
        let query = request.uri.queryParameters
        var cursor: ULID?
        if let text = query["cursor"] {
            guard let id = ULID(String(text)) else { throw Self.invalid("cursor is what the page before said") }
            cursor = id
        }
        var limit = Self.pageSize
        if let text = query["limit"] {
            guard let number = Int(text), (1...Self.longestPage).contains(number) else {
                throw Self.invalid("limit is a number from 1 to \(Self.longestPage)")
            }
            limit = number
        }
        var state: SessionSummary.State?
        if let text = query["state"] {
            guard let known = SessionSummary.State(rawValue: String(text)) else { throw Self.invalid("state is attached or detached") }
            state = known
        }
        return try Self.json(await directory.sessions(after: cursor, limit: limit, state: state))
    }

    private func report(_ request: Request, _ context: OperationsRequestContext) async throws -> Response {
        let details = try await found(context, withTranscript: holdsWhatWasSaid())
        let accept = request.headers[.accept] ?? ""
        switch request.uri.queryParameters["format"].map(String.init) ?? (accept.contains("text/csv") ? "csv" : "json") {
        case "json": return try Self.json(details)
        case "csv":
            let headers: HTTPFields = [
                .contentType: "text/csv; charset=utf-8", .contentDisposition: "attachment; filename=\"session.csv\"",
            ]
            return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: details.csv)))
        default: throw Self.invalid("format is json or csv")
        }
    }

    private func found(_ context: OperationsRequestContext, withTranscript: Bool) async throws -> SessionDetails {
        guard let details = await directory.session(try Self.id(context), withTranscript: withTranscript) else { throw Self.unknown }
        return details
    }

    private func done(_ isDone: Bool) throws -> Response {
        guard isDone else { throw Self.unknown }
        return Response(status: .noContent)
    }

    private static func id(_ context: OperationsRequestContext) throws -> ULID {
        guard let id = context.parameters.get("id").flatMap({ ULID($0) }) else { throw unknown }
        return id
    }

    private static var unknown: OperationsProblem {
        OperationsProblem(status: .notFound, code: .notFound, detail: "there is no such session")
    }

    private static func invalid(_ detail: String) -> OperationsProblem {
        OperationsProblem(status: .badRequest, code: .invalidMessage, detail: detail)
    }

    private static func json(_ value: some Encodable) throws -> Response { try OperationsRoutes.json(value) }
}
