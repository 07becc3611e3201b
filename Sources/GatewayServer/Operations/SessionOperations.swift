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
    /// The sessions of all nodes, for lists; nil outside of a cluster.
    private let cluster: ClusterSessionDirectory?
    let archive: any ReportArchive
    private let cache: ReportCache
    let depth: @Sendable () -> ReportDepth
    private let logger: Logger

    /// - Parameters:
    ///   - cluster: the sessions of all nodes; nil for a gateway that runs alone
    ///   - depth: returns the current `reports.content`
    package init(
        live: any SessionDirectory, cluster: ClusterSessionDirectory? = nil, archive: any ReportArchive, cache: ReportCache,
        depth: @escaping @Sendable () -> ReportDepth,
        logger: Logger
    ) {
        self.live = live
        self.cluster = cluster
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
        /// The node whose live sessions belong to the list; nil for the sessions of all nodes, live and ended.
        var node: String?

        /// Whether every session of the state belongs to the list.
        var isComplete: Bool { tag == nil && user == nil }

        func contains(_ session: SessionSummary) -> Bool {
            (tag.map { session.tags.contains($0) } ?? true) && (user == nil || user == session.user)
        }
    }

    func page(after cursor: ULID?, limit: Int, of selection: Selection) async throws -> SessionPage {
        var (found, cursor): ([SessionSummary], ULID?) = ([], cursor)
        var missing: [String] = []
        // Tags are stored with the annotations, and users with the reports, so both are searched for page by page.
        while true {
            let page = try await unfiltered(
                after: cursor, limit: selection.isComplete ? limit : max(limit, Self.tagPageSize), of: selection)
            found += page.sessions.filter { selection.contains($0) }
            missing += (page.missingNodes ?? []).filter { !missing.contains($0) }
            cursor = page.cursor.flatMap { ULID($0) }
            guard found.count < limit, cursor != nil else { break }
        }
        let sessions = Array(found.prefix(limit))
        let isCut = found.count > limit
        return SessionPage(
            sessions: sessions, cursor: isCut ? sessions.last?.sessionID : cursor.map { "\($0)" }, missingNodes: missing)
    }

    private func unfiltered(after cursor: ULID?, limit: Int, of selection: Selection) async throws -> SessionPage {
        let filter = selection.filter
        // One more than the limit shows whether there is another page.
        let query = SessionQuery(
            after: cursor.map { SessionRank(figure: 0, id: $0) }, limit: limit + 1, attached: filter.attached, user: selection.user)
        let found = filter.hasLive ? await rows(query, on: selection.node) : SessionRows()
        // Reports don't tell the node.
        let ended = filter.hasEnded && selection.node == nil ? try await archive.reports(after: cursor, limit: limit + 1) : []
        let notes = try await archive.annotations(of: found.rows.map(\.rank.id) + ended.map(\.id))
        var summaries: [String: SessionSummary] = [:]
        for report in ended { summaries["\(report.id)"] = SessionSummary(report, notes[report.id]) }
        // A session that is just ending may be in both lists.
        for var row in found.rows {
            row.summary.add(notes[row.rank.id])
            summaries[row.summary.sessionID] = row.summary
        }
        let sorted = summaries.values.sorted { $0.sessionID < $1.sessionID }
        let page = Array(sorted.prefix(limit))
        return SessionPage(sessions: page, cursor: sorted.count > limit ? page.last?.sessionID : nil, missingNodes: found.missingNodes)
    }

    /// Returns the first live sessions of a list, on one node or on all.
    private func rows(_ query: SessionQuery, on node: String?) async -> SessionRows {
        if let cluster { return await cluster.sessions(query, on: node) }
        // Every session of this process is on this node.
        return SessionRows(rows: node.map { $0 == NodeName.current } ?? true ? await live.rows(query) : [])
    }

    /// Returns a page of live sessions in the order of a figure.
    ///
    /// - Parameters:
    ///   - query: has ``SessionQuery/sort``
    ///   - node: the only node with sessions in the list; nil for all
    func page(_ query: SessionQuery, on node: String? = nil) async throws -> SessionPage {
        var wanted = query
        wanted.limit += 1
        let found = await rows(wanted, on: node)
        let page = found.rows.prefix(query.limit)
        let notes = try await archive.annotations(of: page.map(\.rank.id))
        return SessionPage(
            sessions: page.map { row in
                var summary = row.summary
                summary.add(notes[row.rank.id])
                return summary
            },
            cursor: found.rows.count > query.limit ? page.last?.rank.cursor : nil, missingNodes: found.missingNodes)
    }

    /// - Parameter withTranscript: whether to include the transcript, if `reports.content` allows it
    func session(_ id: ULID, withTranscript: Bool) async throws -> SessionDetails? {
        try await session(id, depth: withTranscript ? depth() : .head)
    }

    private func session(_ id: ULID, depth: ReportDepth) async throws -> SessionDetails? {
        // The details without transcript still need the timeline, from which the latencies are computed.
        if let session = await live.session(id, depth: max(depth, .metadata)) {
            var details = SessionDetails(session, try await annotation(of: id), depth: depth)
            details.session.node = cluster?.name
            return details
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
