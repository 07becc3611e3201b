// SPDX-License-Identifier: Apache-2.0

import Logging

extension ConfigurationKey {
    /// `reports.*`, `operations.*`, `logging.*`, `shutdown.*`.
    static let operating: [ConfigurationKey] = [
        .duration("reports.keep", \.reports.keep, reload: .live, "How long reports of ended sessions are kept."),
        .choice(
            "reports.content", \.reports.content, reload: .live,
            "Whether reports contain texts and transcripts, or only times, sizes and outcomes."),

        .endpoint(
            "operations.address", \.operations.address,
            "Address of the listener for health, metrics and operations: plain HTTP, or HTTPS with operations.tls.certificates."),
        ConfigurationKey(
            "operations.token", \.operations.token, isSecret: true, reload: .live, allowed: operationsTokenAllowed,
            meaning:
                "Bearer token of that listener with all rights, except for health. Production and an address that isn't loopback require this key "
                + "or operations.tokens. "
                + "A secret: prefer PARLEY_OPERATIONS_TOKEN_FILE=/path to this key.",
            read: { only($0).flatMap(token).map(Optional.some) }, write: { $0 }),

        .list(
            "operations.tls.certificates", \.operations.certificates,
            of: "cert.pem:key.pem, such as [/etc/parley/cert.pem:/etc/parley/key.pem]",
            reload: .live,
            "Certificate chains of that listener with their private keys, as tls.certificates. None: plain HTTP.",
            read: { CertificateFiles($0) }, write: { $0.description }),

        .choice("logging.level", \.logging.level, reload: .live, "Least severe level written to standard output."),
        .choice("logging.format", \.logging.format, "One JSON object per line, or lines for a terminal."),

        .duration("shutdown.drain", \.shutdown.drain, "Maximum time from SIGTERM to exit."),

    ]

    /// `demo.*`.
    private static let demo: [ConfigurationKey] = [
        .toggle(
            "demo.enabled", \.demo.enabled,
            "Serves a page for a conversation by text and voice at / of the public listener. Rejected in production.")
    ]

    /// `conformance.*`.
    private static let conformance: [ConfigurationKey] = [
        .toggle(
            "conformance.echo", \.conformance.echo,
            "Adds /echo, which returns messages unparsed, without session or rate limits. Rejected in production.")
    ]

    /// Every key, in the order of `gateway.yaml`.
    package static let all: [ConfigurationKey] =
        listening + messaging + pushing + storing + operating + clustering + observing + access + demo + conformance

    /// Keys by name.
    package static let byName: [String: ConfigurationKey] = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

    /// Keys by environment variable.
    static let byVariable: [String: ConfigurationKey] = Dictionary(all.map { ($0.variable, $0) }, uniquingKeysWith: { first, _ in first })

    static let operationsTokenAllowed = "1 to 1024 visible ASCII characters"

    /// Returns the text if an `Authorization: Bearer` header can contain it as its token.
    @Sendable static func token(_ text: String) -> String? {
        (1...1024).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } ? text : nil
    }
}

extension ConfigurationKey {
    /// The groups of the keys: `listen`, `tls`, `operations`, `operations.tls`, …
    static let groups: Set<String> = Set(
        all.flatMap { key in (1..<key.components.count).map { key.components.prefix($0).joined(separator: ".") } })
}

extension ConfigurationProblem {
    /// Returns the problem of an unknown key, with the nearest known name as a hint. The value isn't shown, since it could be a secret.
    static func unknownKey(_ name: String, source: String, among known: [String], separator: Character = ".") -> ConfigurationProblem {
        if let block = ConfigurationKey.Block.misnamed(in: name) { return .misnamedBlock(name, block: block, source: source) }
        return ConfigurationProblem(
            key: name, source: source, allowed: "known keys only; config/gateway.yaml lists them",
            hint: NameSuggestion.of(name, among: known, separator: separator).map { "did you mean \($0)?" })
    }

    /// Returns the problem of a block whose name isn't allowed.
    static func misnamedBlock(_ name: String, block: ConfigurationKey.Block, source: String) -> ConfigurationProblem {
        ConfigurationProblem(
            key: name, source: source, allowed: "below \(block.group): \(ConfigurationKey.Block.nameAllowed)",
            hint: block.allowedName.map { "\($0) is allowed" })
    }
}
