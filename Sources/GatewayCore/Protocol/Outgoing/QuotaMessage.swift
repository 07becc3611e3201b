// SPDX-License-Identifier: Apache-2.0

/// A notice that a quota of the user is almost used up: `status` with the state `quota`.
package struct QuotaMessage: OutgoingMessage {
    package static let type: StaticString = "status"
    package var quota: Quota
    /// In the unit of the quota.
    package var used: Double
    package var limit: Double
    /// Unix milliseconds.
    package var resetsAt: Int64

    package init(_ quota: Quota, used: Double, limit: Double, resetsAt: Int64) {
        self.quota = quota
        self.used = used
        self.limit = limit
        self.resetsAt = resetsAt
    }

    package var expectedBytes: Int { 192 }

    package func write(to writer: inout JSONWriter) {
        writer.member("state", literal: "quota")
        writer.member("quota", quota.name)
        writer.member("used", used)
        writer.member("limit", limit)
        writer.member("resets_at", resetsAt)
    }
}
