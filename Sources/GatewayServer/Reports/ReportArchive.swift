package import GatewayCore

/// Where the reports of ended sessions are kept for `reports.keep`, and what operators have noted about sessions, live and ended.
///
/// What is read may throw, when the disk fails; nothing of a session's work depends on it.
package protocol ReportArchive: Sendable {
    /// Keeps the report of a session that has ended. Doesn't block, and may be called by any thread.
    func keep(_ report: SessionReport)

    /// All of a report; nil when there is none.
    func report(of id: ULID) async throws -> SessionReport?

    func hasReport(of id: ULID) async throws -> Bool

    /// The heads of the first reports behind `cursor`, in the order of their ids.
    func reports(after cursor: ULID?, limit: Int) async throws -> [SessionReport]

    /// What was noted about these sessions.
    func annotations(of ids: [ULID]) async throws -> [ULID: SessionAnnotation]

    /// Changes what is noted about a session. False when there is no such session.
    func annotate(_ id: ULID, _ patch: SessionAnnotationPatch) async throws -> Bool

    /// Removes the report and the notes of a session. False when there were none.
    func erase(_ id: ULID) async throws -> Bool

    /// Removes what ended before a time (Unix milliseconds), and what isn't needed any more. Doesn't block.
    func sweep(endedBefore limit: Int64)
}
