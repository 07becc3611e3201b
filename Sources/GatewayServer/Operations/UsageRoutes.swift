// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The route of usage reports.
struct UsageRoutes: OperationsRouteGroup {
    /// The default and the maximum number of groups per page.
    static let pageSize = 1000
    static let maximumPageSize = 10_000

    let archive: any UsageArchive

    var routes: [OperationsRoute] { [OperationsRoute("/v1/usage", [.get: .read])] }

    func add(to router: Router<OperationsRequestContext>) {
        router.get("/v1/usage") { [self] request, _ in try await report(request, wall: LoopClock.wallMilliseconds()) }
    }

    private func report(_ request: Request, wall: Int64) async throws -> Response {
        let query = try Self.query(request, wall: wall)
        let parameters = request.uri.queryParameters
        var after: [String]?
        if let text = parameters["cursor"] {
            guard let values = UsageCursor.values(String(text)), values.count == query.grouping.count, !values.isEmpty else {
                throw OperationsProblem.invalidCursor
            }
            after = values
        }
        let limit = try request.pageSize(upTo: Self.maximumPageSize, default: Self.pageSize)
        switch ReportFormat(accept: request.headers[.accept] ?? "") {
        case .json:
            var response = try Response.json(try await page(query, after: after, limit: limit))
            response.headers[.vary] = "Accept"
            return response
        // `text/*` includes CSV; there is no HTML.
        case .csv, .html: return try await csv(query, after: after)
        case nil:
            throw OperationsProblem(
                status: .notAcceptable, code: .invalidMessage, detail: "Accept must allow application/json or text/csv")
        }
    }

    private func page(_ query: UsageQuery, after: [String]?, limit: Int) async throws -> UsagePage {
        // One more than the limit shows whether there is another page.
        let sums = try await archive.sums(query, after: after, limit: limit + 1)
        let entries = sums.prefix(limit).map { UsagePage.Entry($0, of: query) }
        let last = sums.count > limit ? sums[limit - 1].values : nil
        if query.grouping.isEmpty, entries.isEmpty {
            return UsagePage(usage: [UsagePage.Entry(UsageSum(values: [], amounts: .zero), of: query)])
        }
        return UsagePage(usage: entries, cursor: last.flatMap { UsageCursor.text($0) })
    }

    /// Returns all groups as one document. More than a page is streamed, with one page at a time in memory.
    private func csv(_ query: UsageQuery, after: [String]?) async throws -> Response {
        var first = try await archive.sums(query, after: after, limit: Self.pageSize)
        if query.grouping.isEmpty, first.isEmpty { first = [UsageSum(values: [], amounts: .zero)] }
        let head = ByteBuffer(string: UsageCSV.header(query.grouping) + first.map { UsageCSV.line($0, of: query) }.joined())
        let last = first.count == Self.pageSize && !query.grouping.isEmpty ? first.last?.values : nil
        return Response(
            status: .ok,
            headers: [
                .contentType: ReportFormat.csv.contentType, .vary: "Accept", .contentDisposition: "attachment; filename=\"usage.csv\"",
            ], body: last.map { stream(query, head, after: $0) } ?? ResponseBody(byteBuffer: head))
    }

    private func stream(_ query: UsageQuery, _ head: ByteBuffer, after last: [String]) -> ResponseBody {
        ResponseBody { [archive] writer in
            try await writer.write(head)
            var next: [String]? = last
            while let after = next {
                let sums = try await archive.sums(query, after: after, limit: Self.pageSize)
                if !sums.isEmpty { try await writer.write(ByteBuffer(string: sums.map { UsageCSV.line($0, of: query) }.joined())) }
                next = sums.count == Self.pageSize ? sums.last?.values : nil
            }
            try await writer.finish(nil)
        }
    }

    // MARK: Parameters

    /// Parses the parameters. Times are rounded outward to whole days in UTC, the resolution of the rows.
    private static func query(_ request: Request, wall: Int64) throws -> UsageQuery {
        let parameters = request.uri.queryParameters
        func time(_ name: Substring) throws -> Int64? {
            guard let text = parameters[name] else { return nil }
            guard let time = UsageTime.milliseconds(String(text)) else {
                throw OperationsProblem.invalid("\(name) must be an RFC 3339 date, such as 2026-01-31, or Unix milliseconds")
            }
            return time
        }
        let today = UTCDay(unixMilliseconds: wall)
        let first = try time("from").map { UTCDay(unixMilliseconds: $0) } ?? today.monthStart
        let end = try time("to").map { time in
            let day = UTCDay(unixMilliseconds: time)
            return day.start < time ? day.next : day
        }
        let last = end ?? today.monthStart(addingMonths: 1)
        guard first < last else { throw OperationsProblem.invalid("from must be before to") }
        var query = UsageQuery(days: first..<last)
        if let user = parameters["user"] {
            guard (1...128).contains(user.utf8.count) else { throw OperationsProblem.invalid("user must have 1 to 128 characters") }
            query.user = String(user)
        }
        for text in parameters[values: "group"] {
            for name in text.split(separator: ",", omittingEmptySubsequences: false) {
                guard let column = UsageQuery.Column(rawValue: String(name)), !query.grouping.contains(column) else {
                    throw OperationsProblem.invalid(
                        "group must be \(UsageQuery.Column.allCases.map(\.rawValue).joined(separator: ", ")), or several, each once")
                }
                query.grouping.append(column)
            }
        }
        return query
    }
}
