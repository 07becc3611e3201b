// SPDX-License-Identifier: Apache-2.0

import GatewayCore

extension SessionOperations {
    /// Returns the timeline of a live or ended session; nil if there is no such session.
    ///
    /// - Parameter withTexts: whether to include texts and transcripts, if `reports.content` allows it
    func timeline(_ id: ULID, withTexts: Bool) async throws -> SessionTimeline? {
        let depth = withTexts ? max(depth(), .metadata) : .metadata
        let now = WallTime.now().unixMilliseconds
        if let session = await live.session(id, depth: depth) {
            return SessionTimeline(
                session.report, state: session.link == nil ? .detached : .attached, now: now, withTexts: depth == .full)
        }
        guard let report = try await archive.report(of: id) else { return nil }
        return SessionTimeline(report, state: .ended, now: now, withTexts: depth == .full)
    }

    /// Whether `reports.content` allows operators to see what is said.
    var allowsContent: Bool { depth() == .full }
}
