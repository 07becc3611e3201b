// SPDX-License-Identifier: Apache-2.0

extension ConfigurationKey {
    /// `audit.*`, `tracing.*`.
    static let observing: [ConfigurationKey] = [
        ConfigurationKey(
            "audit.path", \.audit.path, reload: .restart, allowed: "the path of a file, - for standard output, or empty for off",
            meaning: "Audit log, one JSON object per line, created with mode 0600. Reopened on SIGHUP.",
            read: { only($0).flatMap { $0.isEmpty ? $0 : filePath($0) } }, write: { $0 }),
        .count("audit.queue", \.audit.queue, in: 1...1_000_000, zero: nil, "Maximum number of audit records that wait for the disk."),
        ConfigurationKey(
            "tracing.otlp_url", \.tracing.otlpURL, reload: .restart, allowed: "an http or https URL, or empty for off",
            meaning: "OTLP/HTTP receiver of spans. Without a path, /v1/traces is added.",
            read: { texts -> UpstreamURL?? in
                guard let text = only(texts) else { return nil }
                if text.isEmpty { return .some(nil) }
                return UpstreamURL(text).flatMap { $0.isWebSocket ? nil : .some($0) }
            },
            write: { $0?.description }),
        .factor(
            "tracing.sample", \.tracing.sample, upTo: 1, zero: "none", reload: .live,
            "Share of traces that are exported whatever happens in them."),
        .duration(
            "tracing.keep_slower_than", \.tracing.keepSlowerThan, zero: "never", reload: .live,
            "Messages that take longer are exported, too."),
        .toggle("tracing.keep_failed", \.tracing.keepFailed, reload: .live, "Whether failed messages are exported, too."),
        .count(
            "tracing.queue", \.tracing.queue, in: 1...1_000_000, zero: nil,
            "Maximum number of spans that wait to be exported. Further ones are dropped and counted."),
    ]
}
