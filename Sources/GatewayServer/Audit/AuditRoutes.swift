// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The route of audit records.
struct AuditRoutes: OperationsRouteGroup {
    /// The default and the maximum number of records per page.
    static let pageSize = 100
    static let maximumPageSize = 1000

    /// Nil when the audit log is off.
    let log: AuditLog?

    var routes: [OperationsRoute] { [OperationsRoute("/v1/audit", [.get: .read])] }

    func add(to router: Router<OperationsRequestContext>) {
        router.get("/v1/audit") { [self] request, _ in try await list(request) }
    }

    private func list(_ request: Request) async throws -> Response {
        guard let log else {
            throw OperationsProblem(status: .notFound, code: .notFound, detail: "the audit log is off; set audit.path and restart")
        }
        guard log.isFile else {
            throw OperationsProblem(
                status: .notFound, code: .notFound, detail: "the audit log is written to standard output; set audit.path to a file")
        }
        let query = request.uri.queryParameters
        func time(_ name: Substring) throws -> Int64? {
            guard let text = query[name] else { return nil }
            guard let time = UsageTime.milliseconds(String(text)) else {
                throw OperationsProblem.invalid("\(name) must be an RFC 3339 date, such as 2026-01-31, or Unix milliseconds")
            }
            return time
        }
        let from = try time("from") ?? 0
        let to = try time("to") ?? .max
        guard from < to else { throw OperationsProblem.invalid("from must be before to") }
        var cursor: AuditReader.Cursor?
        if let text = query["cursor"] {
            guard let position = AuditReader.Cursor(text) else { throw OperationsProblem.invalidCursor }
            cursor = position
        }
        let limit = try request.pageSize(upTo: Self.maximumPageSize, default: Self.pageSize)
        let page: AuditReader.Page
        do throws(AuditReader.Fault) {
            page = try await AuditReader(path: log.path).page(from..<to, after: cursor, limit: limit)
        } catch {
            switch error {
            case .invalidCursor:
                throw OperationsProblem.invalid("invalid cursor, or the file was rotated; begin again without a cursor")
            case .file(let fault):
                throw OperationsProblem(
                    status: .serviceUnavailable, code: .overloaded, detail: "the audit file \(fault)", fields: [.retryAfter: "5"])
            }
        }
        return Self.response(page)
    }

    private static func response(_ page: AuditReader.Page) -> Response {
        var body = ByteBuffer()
        body.writeString("{\"records\":[")
        for (index, line) in page.lines.enumerated() {
            if index > 0 { body.writeString(",") }
            body.writeBytes(line)
        }
        body.writeString("]")
        if let cursor = page.cursor { body.writeString(",\"cursor\":\"\(cursor.text)\"") }
        body.writeString("}")
        return Response(status: .ok, headers: [.contentType: "application/json"], body: ResponseBody(byteBuffer: body))
    }
}

extension OperationsFeature {
    /// The records of the audit log.
    package static func audit(_ log: AuditLog?) -> OperationsFeature { OperationsFeature(AuditRoutes(log: log)) }
}
