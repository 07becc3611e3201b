// SPDX-License-Identifier: Apache-2.0

/// The changes between two configurations, and which of them a running gateway can apply.
package struct ConfigurationDiff: Sendable, Equatable {
    /// One key whose value differs. Secrets are masked in both values.
    package struct Change: Sendable, Equatable, CustomStringConvertible {
        package var key: String
        package var old: String
        package var new: String

        /// `connections.max: 1000 -> 2000`.
        package var description: String { "\(key): \(old) -> \(new)" }
    }

    /// The changes that a reload applies.
    package private(set) var reloadable: [Change] = []
    /// The changes that require a restart.
    package private(set) var needsRestart: [Change] = []
    /// The running configuration with the reloadable changes applied, and no others.
    package private(set) var applied: GatewayConfiguration

    /// Compares the running configuration with a newly read one.
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
        // Blocks are added and removed as a whole.
        applied.upstreams = read.upstreams
        applied.routes = read.routes
        applied.operations.tokens = read.operations.tokens
    }

    /// Whether nothing changed. The contents of certificate and key files may still have changed.
    package var isEmpty: Bool { reloadable.isEmpty && needsRestart.isEmpty }
}
