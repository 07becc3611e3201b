/// What became of a reload of the configuration, as `POST /v1/gateway/reload` answers it.
package struct ReloadReport: Sendable, Hashable, Codable {
    /// Keys whose new value is in force now.
    package var changed: [String]
    /// Keys with a new value that takes a restart; the old value stays in force.
    package var needsRestart: [String]
    /// Everything that is wrong with the new configuration, a sentence each. When there is one, nothing was changed.
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
