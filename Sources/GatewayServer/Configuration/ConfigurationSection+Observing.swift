// SPDX-License-Identifier: Apache-2.0

extension ConfigurationSection {
    /// `audit.*`: the audit log.
    package struct Audit: Sendable, Equatable {
        /// The file; `-` for standard output; empty: off.
        package var path = ""
        /// Maximum number of records that wait to be written.
        package var queue = 8192
    }

    /// `tracing.*`: traces of connections and messages.
    package struct Tracing: Sendable, Equatable {
        /// The OTLP/HTTP receiver of spans; nil: off.
        package var otlpURL: UpstreamURL?
        /// The share of traces that are kept whatever happens in them.
        package var sample = 0.01
        /// Messages that take longer are kept; 0 keeps none for this reason.
        package var keepSlowerThan = Duration.seconds(2)
        /// Whether failed messages are kept.
        package var keepFailed = true
        /// Maximum number of spans that wait to be exported.
        package var queue = 2048
    }
}
