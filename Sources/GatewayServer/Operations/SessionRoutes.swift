// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The routes of sessions: list, show, report, annotate, close, erase.
struct SessionRoutes: OperationsRouteGroup {
    /// The default and the maximum number of sessions per page.
    static let pageSize = 50
    static let maximumPageSize = 500
    /// The maximum size of a patch, in bytes.
    static let maximumPatchBytes = 64_000

    let sessions: SessionOperations

    /// Titles and notes require the right `content` in addition to that of the route, as does the transcript of a report.
    var routes: [OperationsRoute] {
        [
            OperationsRoute("/v1/sessions", [.get: .read]),
            OperationsRoute("/v1/sessions/:id", [.get: .read, .patch: .content, .delete: .erase]),
            OperationsRoute("/v1/sessions/:id/report", [.get: .read]), OperationsRoute("/v1/sessions/:id/close", [.post: .operate]),
        ]
    }

    func add(to router: Router<OperationsRequestContext>) {
        router.get("/v1/sessions") { [self] request, context in try await list(request, withContent: context.has(.content)) }
        router.get("/v1/sessions/:id") { [self] _, context in
            guard var details = try await sessions.session(try Self.id(context), withTranscript: false) else { throw Self.unknownSession }
            if !context.has(.content) { details.removeContent() }
            return try Response.json(details)
        }
        router.get("/v1/sessions/:id/report") { [self] request, context in try await report(request, context) }
        router.patch("/v1/sessions/:id") { [self] request, context in try await annotate(request, context) }
        router.post("/v1/sessions/:id/close") { [self] request, context in
            try await request.discardBody()
            return try Self.noContent(await sessions.close(try Self.id(context)))
        }
        router.delete("/v1/sessions/:id") { [self] request, context in
            try await request.discardBody()
            return try Self.noContent(try await sessions.erase(try Self.id(context)))
        }
    }

    // MARK: One session

    private func report(_ request: Request, _ context: OperationsRequestContext) async throws -> Response {
        let id = try Self.id(context)
        let format: ReportFormat
        if let text = request.uri.queryParameters["format"] {
            guard let known = ReportFormat(rawValue: String(text)) else {
                throw OperationsProblem.invalid("format must be json, csv or html")
            }
            format = known
        } else {
            guard let preferred = ReportFormat(accept: request.headers[.accept] ?? "") else {
                throw OperationsProblem(
                    status: .notAcceptable, code: .invalidMessage, detail: "Accept must allow application/json, text/csv or text/html")
            }
            format = preferred
        }
        guard let content = try await sessions.report(of: id, as: format, withContent: context.has(.content)) else {
            throw Self.unknownSession
        }
        var headers: HTTPFields = [.contentType: format.contentType, .vary: "Accept"]
        switch format {
        case .json: break
        case .csv: headers[.contentDisposition] = "attachment; filename=\"session-\(id).csv\""
        case .html: headers[.contentSecurityPolicy] = ReportPage.policy
        }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: content)))
    }

    private func annotate(_ request: Request, _ context: OperationsRequestContext) async throws -> Response {
        let id = try Self.id(context)
        let body = try await request.collectBody(
            upTo: Self.maximumPatchBytes, "patch too large; the limit is \(Self.maximumPatchBytes) bytes")
        let patch: SessionAnnotationPatch
        do throws(SessionAnnotationPatch.Fault) {
            patch = try SessionAnnotationPatch(json: Array(body.readableBytesView))
        } catch {
            throw OperationsProblem.invalid(error.detail)
        }
        guard let details = try await sessions.annotate(id, patch) else { throw Self.unknownSession }
        return try Response.json(details)
    }

    private static func noContent(_ isDone: Bool) throws -> Response {
        guard isDone else { throw unknownSession }
        return Response(status: .noContent)
    }

    static func id(_ context: OperationsRequestContext) throws -> ULID {
        guard let id = context.parameters.get("id").flatMap({ ULID($0) }) else { throw unknownSession }
        return id
    }

    static var unknownSession: OperationsProblem {
        OperationsProblem(status: .notFound, code: .notFound, detail: "there is no such session")
    }
}
