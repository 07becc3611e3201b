// SPDX-License-Identifier: Apache-2.0

/// A valid configuration, with the source of each value.
package struct LoadedConfiguration: Sendable {
    /// One effective value.
    package struct Origin: Sendable, Equatable {
        /// `connections.max`; the first is `environment`.
        package var key: String
        /// The value as it is written in a file; masked if it is a secret, `(none)` if there is none.
        package var value: String
        /// `config/production.yaml:12`, `PARLEY_CONNECTIONS_MAX`, `--connections.max` or `default`.
        package var source: String
    }

    /// The values.
    package var configuration: GatewayConfiguration
    /// `environment`, then every key in the order of `gateway.yaml`.
    package var origins: [Origin]
    /// The files whose change triggers a reload: configuration, secrets, certificates. Some may not exist.
    package var watchedFiles: [String]
    /// The fingerprint of `watchedFiles`, taken before they were read so that no change in between is missed.
    package var fingerprint: ConfigurationFingerprint

    /// A file of the configuration that was read.
    package struct File: Sendable, Equatable {
        package var path: String
        /// Whether the file has no bytes at all.
        package var isEmpty: Bool
    }

    /// `gateway.yaml` and the environment's file, those that exist.
    package var files: [File]
    /// The directory of ``files``, as configured.
    package var directory: String
    /// One sentence for each setting that is allowed but probably a mistake.
    package var warnings: [String]
    /// In production, one text for each decision that was left at a default that production rarely wants, with an example.
    package var openDecisions: [String]
    /// The files of secrets that variables name.
    package var secretFiles: [String]

    /// The files that were read, for messages: `config/gateway.yaml, config/production.yaml`.
    package var filesRead: String {
        files.isEmpty ? "none in \(directory)" : files.map(\.path).joined(separator: ", ")
    }

    /// Returns the problems that prevent this configuration from replacing `running` in a running gateway.
    ///
    /// A missing or empty file would reset its keys to their defaults, and replace every upstream with the loopback. A failed mount or a copy
    /// to a full disk looks like an intended removal, so removing a file requires a restart.
    package func unavailableFiles(since running: LoadedConfiguration) -> [ConfigurationProblem] {
        running.files.compactMap { file in
            let found = files.first { $0.path == file.path }
            guard found == nil || (found?.isEmpty == true && !file.isEmpty) else { return nil }
            return ConfigurationProblem(
                key: file.path, source: file.path, allowed: "the files that were read at startup; restart to run without this one",
                hint: found == nil ? "the file is missing" : "the file is empty")
        }
    }

    /// One line per key, for `parley config print`: key, value and source in columns.
    package var listing: String {
        let keyWidth = origins.map(\.key.count).max() ?? 0
        // One long list shouldn't move all sources off the screen.
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
