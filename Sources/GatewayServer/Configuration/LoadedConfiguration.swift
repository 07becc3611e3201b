/// A configuration that was read and found right, with where each value came from.
package struct LoadedConfiguration: Sendable {
    /// One effective value.
    package struct Origin: Sendable, Equatable {
        /// `connections.max`; the first is `environment`.
        package var key: String
        /// The value as it would be written; masked when it is a secret, `(none)` where there is none.
        package var value: String
        /// `config/production.yaml:12`, `PARLEY_CONNECTIONS_MAX`, `--connections.max` or `default`.
        package var source: String
    }

    /// The values.
    package var configuration: GatewayConfiguration
    /// `environment`, then every key in the order of `gateway.yaml`.
    package var origins: [Origin]
    /// The files whose change is a reason to load again: configuration, secrets, certificates. Some may not exist.
    package var watchedFiles: [String]
    /// Of `watchedFiles`, taken before they were read, so that a change in between isn't missed.
    package var fingerprint: ConfigurationFingerprint

    /// One line a key, for `parley config print`: key, value and source in columns.
    package var listing: String {
        let keyWidth = origins.map(\.key.count).max() ?? 0
        // One long list shouldn't push all the sources off the screen.
        let valueWidth = min(origins.map(\.value.count).max() ?? 0, 24)
        return origins.map { origin in
            padded(origin.key, to: keyWidth) + "  " + padded(origin.value, to: valueWidth) + "  # " + origin.source
        }
        .joined(separator: "\n")
    }

    private func padded(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
