import Logging

extension ConfigurationKey {
    /// `store.*`, `reports.*`, `operations.*`, `logging.*`, `shutdown.*`, `auth.*`, `conformance.*`.
    static let operating: [ConfigurationKey] = [
        .choice(
            "store.kind", \.store.kind,
            "Where acknowledged messages are kept: in memory, or in a file that survives the process. redis is not available yet."),
        ConfigurationKey(
            "store.path", \.store.path, reload: .restart, allowed: pathAllowed, meaning: "File of the embedded store, made with mode 0600.",
            read: { only($0).flatMap(filePath) }, write: { $0 }),
        .choice(
            "store.synchronous", \.store.synchronous, "How hard a write is pushed to the disk before it is acknowledged, in SQLite's words."
        ),
        .size("store.max_bytes", \.store.maxBytes, "Size of the store's file. At it new messages are refused until something is removed."),

        .duration("reports.keep", \.reports.keep, reload: .live, "Reports of ended sessions are deleted after so long."),
        .choice(
            "reports.content", \.reports.content, reload: .live,
            "Whether reports hold what was said, or only when, how much and how it ended."),

        .endpoint("operations.address", \.operations.address, "Where health, metrics and operations answer, over plain HTTP."),
        ConfigurationKey(
            "operations.token", \.operations.token, isSecret: true, reload: .live, allowed: "1 to 1024 visible ASCII characters",
            meaning: "Bearer token of everything there but health. Needed in production, and when the address isn't loopback. "
                + "A secret: better in PARLEY_OPERATIONS_TOKEN_FILE=/path than here.",
            read: { only($0).flatMap(token).map(Optional.some) }, write: { $0 }),

        .choice("logging.level", \.logging.level, reload: .live, "The least severe level that is written to standard output."),
        .choice("logging.format", \.logging.format, "One JSON object a line, or lines for people."),

        .duration("shutdown.drain", \.shutdown.drain, "From SIGTERM to exit, at most."),

        .choice(
            "auth.mode", \.auth.mode,
            "Who may connect. none is anyone, and refused in production; jwt is not available yet, so production can't start yet."),

        .toggle(
            "conformance.echo", \.conformance.echo,
            "Adds /echo, which returns messages unread, without session or rate limits. Refused in production."),
    ]

    /// Every key, in the order of `gateway.yaml`.
    package static let all: [ConfigurationKey] = listening + messaging + operating

    /// Keys by name.
    package static let byName: [String: ConfigurationKey] = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

    /// Keys by environment variable.
    static let byVariable: [String: ConfigurationKey] = Dictionary(all.map { ($0.variable, $0) }, uniquingKeysWith: { first, _ in first })

    /// What an `Authorization: Bearer` header can carry.
    @Sendable private static func token(_ text: String) -> String? {
        (1...1024).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } ? text : nil
    }
}

extension ConfigurationKey {
    /// The groups that keys are in: `listen`, `tls`, …
    static let groups: Set<String> = Set(all.compactMap { $0.components.first })
}

extension ConfigurationProblem {
    /// A name that is no key's, with the nearest that is one. Its value isn't shown: it could be a secret.
    static func unknownKey(_ name: String, source: String, among known: [String], separator: Character = ".") -> ConfigurationProblem {
        if let block = ConfigurationKey.Block.misnamed(in: name) { return .misnamedBlock(name, block: block, source: source) }
        return ConfigurationProblem(
            key: name, source: source, allowed: "known keys only; config/gateway.yaml lists them",
            hint: NearestName.of(name, among: known, separator: separator).map { "did you mean \($0)?" })
    }

    /// A block whose name isn't allowed.
    static func misnamedBlock(_ name: String, block: ConfigurationKey.Block, source: String) -> ConfigurationProblem {
        ConfigurationProblem(
            key: name, source: source, allowed: "below \(block.group): \(ConfigurationKey.Block.nameAllowed)",
            hint: block.allowedName.map { "\($0) is allowed" })
    }
}
