// SPDX-License-Identifier: Apache-2.0

/// The result of a reload of the configuration, as returned by `POST /v1/gateway/reload`.
package struct ReloadReport: Sendable, Hashable, Codable {
    /// Keys whose new value has been applied.
    package var changed: [String]
    /// Keys whose new value requires a restart; the old value stays in effect.
    package var needsRestart: [String]
    /// All problems of the new configuration, one sentence each. If there are any, nothing was changed.
    package var problems: [String]

    package init(changed: [String] = [], needsRestart: [String] = [], problems: [String] = []) {
        self.changed = changed
        self.needsRestart = needsRestart
        self.problems = problems
    }

    enum CodingKeys: String, CodingKey {
        case changed
        case needsRestart = "needs_restart"
        case problems
    }
}
