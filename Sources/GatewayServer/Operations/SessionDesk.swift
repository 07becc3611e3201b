import FoundationEssentials
package import GatewayCore
package import Logging

/// What operators ask about sessions and do with them, whether they go on or have ended.
package struct SessionDesk: Sendable {
    /// Which sessions a list has.
    package enum Filter: String, Sendable, CaseIterable {
        case attached, detached
        /// Both of them.
        case live
        case ended
        case all

        var attached: Bool? { self == .attached ? true : self == .detached ? false : nil }
        var hasLive: Bool { self != .ended }
        var hasEnded: Bool { self == .ended || self == .all }
    }

    /// Sessions looked through at a time for a tag.
    private static let tagStep = 500

    private let live: any SessionDirectory
    private let archive: any ReportArchive
    private let cache: ReportCache
    private let depth: @Sendable () -> ReportDepth
    private let logger: Logger

    /// - Parameter depth: `reports.content` at this moment
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

    func page(after cursor: ULID?, limit: Int, filter: Filter, tag: String?) async throws -> SessionPage {
        var (found, cursor): ([SessionSummary], ULID?) = ([], cursor)
        // A tag is looked for page by page: it is noted elsewhere.
        while true {
            let page = try await unfiltered(after: cursor, limit: tag == nil ? limit : max(limit, Self.tagStep), filter: filter)
            found += page.sessions.filter { session in tag.map { session.tags.contains($0) } ?? true }
            cursor = page.cursor.flatMap { ULID($0) }
            guard found.count < limit, cursor != nil else { break }
        }
        let sessions = Array(found.prefix(limit))
        let isCut = found.count > limit
        return SessionPage(sessions: sessions, cursor: isCut ? sessions.last?.sessionID : cursor.map { "\($0)" })
    }

    private func unfiltered(after cursor: ULID?, limit: Int, filter: Filter) async throws -> SessionPage {
        // One more than asked for tells whether there is another page.
        let going = filter.hasLive ? await live.sessions(after: cursor, limit: limit + 1, attached: filter.attached) : []
        let ended = filter.hasEnded ? try await archive.reports(after: cursor, limit: limit + 1) : []
        let notes = try await archive.annotations(of: going.map(\.report.id) + ended.map(\.id))
        var summaries: [String: SessionSummary] = [:]
        for report in ended { summaries["\(report.id)"] = SessionSummary(report, notes[report.id]) }
        // A session that ends just now may be seen in both places.
        for session in going { summaries["\(session.report.id)"] = SessionSummary(session, notes[session.report.id]) }
        let sorted = summaries.values.sorted { $0.sessionID < $1.sessionID }
        let page = Array(sorted.prefix(limit))
        return SessionPage(sessions: page, cursor: sorted.count > limit ? page.last?.sessionID : nil)
    }

    /// - Parameter withTranscript: as far as `reports.content` allows it
    func session(_ id: ULID, withTranscript: Bool) async throws -> SessionDetails? {
        try await session(id, depth: withTranscript ? depth() : .head)
    }

    private func session(_ id: ULID, depth: ReportDepth) async throws -> SessionDetails? {
        // Also without the transcript there are the timeline, and latencies out of it.
        if let session = await live.session(id, depth: max(depth, .metadata)) {
            return SessionDetails(session, try await annotation(of: id), depth: depth)
        }
        guard let report = try await archive.report(of: id) else { return nil }
        return SessionDetails(report, try await annotation(of: id), depth: depth)
    }

    /// A report, rendered; from the cache where it can't change any more.
    func report(of id: ULID, as format: ReportFormat) async throws -> [UInt8]? {
        let depth = depth()
        let key = ReportCache.Key(id: id, format: format, depth: depth)
        // It may have been removed since, because its time was over or there was no room.
        if let content = cache.content(for: key) {
            if try await archive.hasReport(of: id) { return content }
            cache.forget(id)
        }
        let generation = cache.generation
        guard let details = try await session(id, depth: depth) else { return nil }
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

    /// Nil when there is no such session.
    func annotate(_ id: ULID, _ patch: SessionAnnotationPatch) async throws -> SessionDetails? {
        guard try await session(id, withTranscript: false) != nil else { return nil }
        guard try await archive.annotate(id, patch) else { return nil }
        cache.forget(id)
        return try await session(id, withTranscript: false)
    }

    private func annotation(of id: ULID) async throws -> SessionAnnotation? { try await archive.annotations(of: [id])[id] }

    func close(_ id: ULID) async -> Bool { await live.close(id) }

    /// Removes everything that is known of a session, wherever it is. False when there is no such session.
    func erase(_ id: ULID) async throws -> Bool {
        let wasLive = await live.erase(id)
        // What the session's loop has submitted is in the file before what is removed here.
        try await live.forget()
        let wasKept = try await archive.erase(id)
        cache.forget(id)
        guard wasLive || wasKept else { return false }
        try await live.forget()
        logger.notice("session erased", metadata: ["session_id": "\(id)"])
        return true
    }
}
