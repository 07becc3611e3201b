// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import GatewayCore
package import Logging

/// The operations on live and ended sessions: list, show, report, annotate, close, erase.
package struct SessionOperations: Sendable {
    /// The sessions that a list contains.
    package enum Filter: String, Sendable, CaseIterable {
        case attached, detached
        /// Attached and detached sessions.
        case live
        case ended
        case all

        var attached: Bool? { self == .attached ? true : self == .detached ? false : nil }
        var hasLive: Bool { self != .ended }
        var hasEnded: Bool { self == .ended || self == .all }
    }

    /// Number of sessions that are searched for a tag at a time.
    private static let tagPageSize = 500

    let live: any SessionDirectory
    let archive: any ReportArchive
    private let cache: ReportCache
    let depth: @Sendable () -> ReportDepth
    private let logger: Logger

    /// - Parameter depth: returns the current `reports.content`
    package init(
        live: any SessionDirectory, archive: any ReportArchive, cache: ReportCache, depth: @escaping @Sendable () -> ReportDepth,
        logger: Logger
    ) {
        self.live = live
        self.archive = archive
        self.cache = cache
        self.depth = depth
        self.logger = logger
    }

    /// The sessions that a list contains.
    struct Selection: Sendable {
        var filter = Filter.live
        var tag: String?
        var user: String?

        /// Whether every session of the state belongs to the list.
        var isComplete: Bool { tag == nil && user == nil }

        func contains(_ session: SessionSummary) -> Bool {
            (tag.map { session.tags.contains($0) } ?? true) && (user == nil || user == session.user)
        }
    }

    func page(after cursor: ULID?, limit: Int, of selection: Selection) async throws -> SessionPage {
        var (found, cursor): ([SessionSummary], ULID?) = ([], cursor)
        // Tags are stored with the annotations, and users with the reports, so both are searched for page by page.
        while true {
            let page = try await unfiltered(
                after: cursor, limit: selection.isComplete ? limit : max(limit, Self.tagPageSize), of: selection)
            found += page.sessions.filter { selection.contains($0) }
            cursor = page.cursor.flatMap { ULID($0) }
            guard found.count < limit, cursor != nil else { break }
        }
        let sessions = Array(found.prefix(limit))
        let isCut = found.count > limit
        return SessionPage(sessions: sessions, cursor: isCut ? sessions.last?.sessionID : cursor.map { "\($0)" })
    }

    private func unfiltered(after cursor: ULID?, limit: Int, of selection: Selection) async throws -> SessionPage {
        let filter = selection.filter
        // One more than the limit shows whether there is another page.
        let query = SessionQuery(
            after: cursor.map { SessionRank(figure: 0, id: $0) }, limit: limit + 1, attached: filter.attached, user: selection.user)
        let liveSessions = filter.hasLive ? await live.sessions(query) : []
        let ended = filter.hasEnded ? try await archive.reports(after: cursor, limit: limit + 1) : []
        let notes = try await archive.annotations(of: liveSessions.map(\.report.id) + ended.map(\.id))
        var summaries: [String: SessionSummary] = [:]
        for report in ended { summaries["\(report.id)"] = SessionSummary(report, notes[report.id]) }
        // A session that is just ending may be in both lists.
        for session in liveSessions { summaries["\(session.report.id)"] = SessionSummary(session, notes[session.report.id]) }
        let sorted = summaries.values.sorted { $0.sessionID < $1.sessionID }
        let page = Array(sorted.prefix(limit))
        return SessionPage(sessions: page, cursor: sorted.count > limit ? page.last?.sessionID : nil)
    }

    /// Returns a page of live sessions in the order of a figure.
    ///
    /// - Parameter query: has ``SessionQuery/sort``
    func page(_ query: SessionQuery) async throws -> SessionPage {
        var wanted = query
        wanted.limit += 1
        let found = await live.sessions(wanted)
        let page = found.prefix(query.limit)
        let notes = try await archive.annotations(of: page.map(\.report.id))
        return SessionPage(
            sessions: page.map { SessionSummary($0, notes[$0.report.id]) },
            cursor: found.count > query.limit ? page.last?.rank.cursor : nil)
    }

    /// - Parameter withTranscript: whether to include the transcript, if `reports.content` allows it
    func session(_ id: ULID, withTranscript: Bool) async throws -> SessionDetails? {
        try await session(id, depth: withTranscript ? depth() : .head)
    }

    private func session(_ id: ULID, depth: ReportDepth) async throws -> SessionDetails? {
        // The details without transcript still need the timeline, from which the latencies are computed.
        if let session = await live.session(id, depth: max(depth, .metadata)) {
            return SessionDetails(session, try await annotation(of: id), depth: depth)
        }
        guard let report = try await archive.report(of: id) else { return nil }
        return SessionDetails(report, try await annotation(of: id), depth: depth)
    }

    /// Returns a rendered report, from the cache if it can't change any more.
    ///
    /// - Parameter withContent: false to omit texts, title and notes, even if `reports.content` is `full`
    func report(of id: ULID, as format: ReportFormat, withContent: Bool) async throws -> [UInt8]? {
        let depth = withContent ? depth() : min(depth(), .metadata)
        let key = ReportCache.Key(id: id, format: format, depth: depth, hasAnnotation: withContent)
        // The report may have been removed meanwhile, because it expired or the store was full.
        if let content = cache.content(for: key) {
            if try await archive.hasReport(of: id) { return content }
            cache.purge(id)
        }
        let generation = cache.generation
        guard var details = try await session(id, depth: depth) else { return nil }
        if !withContent { details.removeContent() }
        let content = try Self.render(details, as: format)
        if details.session.state == .ended { cache.keep(content, for: key, since: generation) }
        return content
    }

    private static func render(_ details: SessionDetails, as format: ReportFormat) throws -> [UInt8] {
        switch format {
        case .json: return Array(try SortedJSON.encode(details))
        case .csv: return ReportTable.render(details)
        case .html: return ReportPage.render(details, now: WallTime.now().unixMilliseconds)
        }
    }

    /// Returns nil if there is no such session.
    func annotate(_ id: ULID, _ patch: SessionAnnotationPatch) async throws -> SessionDetails? {
        guard try await session(id, withTranscript: false) != nil else { return nil }
        guard try await archive.annotate(id, patch) else { return nil }
        cache.purge(id)
        return try await session(id, withTranscript: false)
    }

    private func annotation(of id: ULID) async throws -> SessionAnnotation? { try await archive.annotations(of: [id])[id] }

    func close(_ id: ULID) async -> Bool { await live.close(id) }

    /// Erases all data of a session, live or ended. Returns false if there is no such session.
    func erase(_ id: ULID) async throws -> Bool {
        let wasLive = await live.erase(id)
        // The writes that the session's event loop has submitted are in the file before the erasure below.
        try await live.purge()
        let wasArchived = try await archive.erase(id)
        cache.purge(id)
        guard wasLive || wasArchived else { return false }
        try await live.purge()
        logger.notice("session erased", metadata: ["session_id": "\(id)"])
        return true
    }
}
