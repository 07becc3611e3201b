// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The lists of sessions.
extension SessionRoutes {
    func list(_ request: Request, withContent: Bool) async throws -> Response {
        let query = request.uri.queryParameters
        let limit = try request.pageSize(upTo: Self.maximumPageSize, default: Self.pageSize)
        var selection = SessionOperations.Selection()
        if let text = query["state"] {
            guard let known = SessionOperations.Filter(rawValue: String(text)) else {
                throw OperationsProblem.invalid(
                    "state must be one of \(SessionOperations.Filter.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            selection.filter = known
        }
        selection.tag = query["tag"].map(String.init)
        selection.user = query["user"].map(String.init)
        selection.node = query["node"].map(String.init)
        if let text = query["sort"] {
            return try await sortedList(request, by: String(text), limit: limit, of: selection, withContent)
        }
        var cursor: ULID?
        if let text = query["cursor"] {
            guard let id = ULID(String(text)) else { throw OperationsProblem.invalidCursor }
            cursor = id
        }
        guard request.headers[.accept]?.contains("application/x-ndjson") == true else {
            return try Response.json(await page(after: cursor, limit: limit, of: selection, withContent: withContent))
        }
        return stream(after: cursor, of: selection, withContent: withContent)
    }

    private func sortedList(
        _ request: Request, by name: String, limit: Int, of selection: SessionOperations.Selection, _ withContent: Bool
    ) async throws -> Response {
        guard let sort = SessionSort(rawValue: name) else {
            throw OperationsProblem.invalid(
                "sort must be one of \(SessionSort.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard !selection.filter.hasEnded, selection.tag == nil else {
            throw OperationsProblem.invalid("sort is for live sessions, without tag: state must be attached, detached or live")
        }
        var query = SessionQuery(sort: sort, limit: limit, attached: selection.filter.attached, user: selection.user)
        if let text = request.uri.queryParameters["cursor"] {
            guard let rank = SessionRank(cursor: String(text)) else { throw OperationsProblem.invalidCursor }
            query.after = rank
        }
        var page = try await sessions.page(query, on: selection.node)
        if !withContent { page.removeContent() }
        return try Response.json(page)
    }

    private func page(
        after cursor: ULID?, limit: Int, of selection: SessionOperations.Selection, withContent: Bool
    ) async throws -> SessionPage {
        var page = try await sessions.page(after: cursor, limit: limit, of: selection)
        if !withContent { page.removeContent() }
        return page
    }

    /// Streams all sessions, one per line, with one page at a time in memory.
    private func stream(after cursor: ULID?, of selection: SessionOperations.Selection, withContent: Bool) -> Response {
        let body = ResponseBody { [self] writer in
            var next = cursor
            repeat {
                let page = try await page(after: next, limit: Self.maximumPageSize, of: selection, withContent: withContent)
                var lines = ByteBuffer()
                for session in page.sessions {
                    lines.writeBytes(try SortedJSON.encode(session))
                    lines.writeInteger(UInt8(ascii: "\n"))
                }
                if lines.readableBytes > 0 { try await writer.write(lines) }
                next = page.cursor.flatMap { ULID($0) }
            } while next != nil
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: [.contentType: "application/x-ndjson"], body: body)
    }
}

extension SessionPage {
    /// Removes everything that requires the right `content`.
    fileprivate mutating func removeContent() {
        for index in sessions.indices { sessions[index].removeContent() }
    }
}
