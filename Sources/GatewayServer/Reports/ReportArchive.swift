// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The archive of ended sessions' reports, kept for `reports.keep`, and of operators' annotations of live and ended sessions.
///
/// Reading can throw if the disk fails; no session depends on it.
package protocol ReportArchive: Sendable {
    /// Stores the report of an ended session. Doesn't block; can be called from any thread.
    func keep(_ report: SessionReport)

    /// Returns a whole report; nil if there is none.
    func report(of id: ULID) async throws -> SessionReport?

    func hasReport(of id: ULID) async throws -> Bool

    /// Returns the heads of the first reports after `cursor`, in the order of their ids.
    func reports(after cursor: ULID?, limit: Int) async throws -> [SessionReport]

    /// Returns the annotations of these sessions.
    func annotations(of ids: [ULID]) async throws -> [ULID: SessionAnnotation]

    /// Changes the annotation of a session. Returns false if there is no such session.
    func annotate(_ id: ULID, _ patch: SessionAnnotationPatch) async throws -> Bool

    /// Removes the report and the annotation of a session. Returns false if there were none.
    func erase(_ id: ULID) async throws -> Bool

    /// Removes the reports of sessions that ended before a time (Unix milliseconds), and data that is no longer needed. Doesn't block.
    func sweep(endedBefore limit: Int64)
}
