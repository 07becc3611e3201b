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

    /// A file of the configuration that was read.
    package struct File: Sendable, Equatable {
        package var path: String
        /// Whether the file has no bytes at all.
        package var isEmpty: Bool
    }

    /// `gateway.yaml` and the environment's file, those that exist.
    package var files: [File]
    /// The directory of ``files`` as it was named.
    package var directory: String
    /// A sentence for everything that is allowed, but probably not meant.
    package var warnings: [String]

    /// The files that were read, for people: `config/gateway.yaml, config/production.yaml`.
    package var filesRead: String {
        files.isEmpty ? "none in \(directory)" : files.map(\.path).joined(separator: ", ")
    }

    /// The problems that keep this configuration from replacing `running` while the gateway runs.
    ///
    /// A file that has vanished, or was cut to nothing, would set its keys back to their defaults, and every upstream to the loopback. A mount
    /// that is gone and a copy on a full disk look like a decision, so the decision takes a restart.
    package func lost(since running: LoadedConfiguration) -> [ConfigurationProblem] {
        running.files.compactMap { file in
            let found = files.first { $0.path == file.path }
            guard found == nil || (found?.isEmpty == true && !file.isEmpty) else { return nil }
            return ConfigurationProblem(
                key: file.path, source: file.path, allowed: "the files that were read at the start; a restart does without this one",
                hint: found == nil ? "the file is missing" : "the file is empty")
        }
    }

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
