/// What changed between two configurations, and what a running gateway can do about it.
package struct ConfigurationDiff: Sendable, Equatable {
    /// One key whose value is another. Secrets are masked on both sides.
    package struct Change: Sendable, Equatable, CustomStringConvertible {
        package var key: String
        package var old: String
        package var new: String

        /// `connections.max: 1000 -> 2000`.
        package var description: String { "\(key): \(old) -> \(new)" }
    }

    /// What takes effect at once.
    package private(set) var reloadable: [Change] = []
    /// What waits for a restart.
    package private(set) var needsRestart: [Change] = []
    /// The running configuration with what is reloadable taken over, and nothing else.
    package private(set) var applied: GatewayConfiguration

    /// Compares the running configuration with one just read.
    package init(from running: GatewayConfiguration, to read: GatewayConfiguration) {
        applied = running
        if running.environment != read.environment {
            needsRestart.append(Change(key: "environment", old: running.environment.rawValue, new: read.environment.rawValue))
        }
        let blocks = ConfigurationKey.blocks(of: running).union(ConfigurationKey.blocks(of: read))
        for key in ConfigurationKey.all(with: blocks) where key.text(running) != key.text(read) {
            let change = Change(key: key.name, old: key.shown(in: running), new: key.shown(in: read))
            if key.isReloadable {
                if key.block == nil { key.copy(read, &applied) }
                reloadable.append(change)
            } else {
                needsRestart.append(change)
            }
        }
        // Whole blocks come and go.
        applied.upstreams = read.upstreams
        applied.routes = read.routes
    }

    /// Whether nothing changed. Files that certificates and keys are read from may have changed all the same.
    package var isEmpty: Bool { reloadable.isEmpty && needsRestart.isEmpty }
}
