// SPDX-License-Identifier: Apache-2.0

extension ConfigurationKey {
    /// `store.*`.
    static let storing: [ConfigurationKey] = [
        .choice(
            "store.kind", \.store.kind,
            "Where acknowledged messages are stored: in memory, in a file that survives a restart, or in a Redis or Valkey that several gateways share."
        ),
        ConfigurationKey(
            "store.path", \.store.path, reload: .restart, allowed: pathAllowed,
            meaning: "File of the embedded store, created with mode 0600.",
            read: { only($0).flatMap(filePath) }, write: { $0 }),
        .choice(
            "store.synchronous", \.store.synchronous,
            "How far a write is synced to disk before it is acknowledged, as SQLite's synchronous pragma."
        ),
        .size(
            "store.max_bytes", \.store.maxBytes,
            "Maximum size of the store's file. At the limit new messages are rejected until something is removed."),
        .list(
            "store.urls", \.store.urls, of: "redis://, rediss://, redis[s]+sentinel:// or redis[s]+cluster:// URLs of one host each",
            "Servers of the shared store: one server, Sentinels (redis+sentinel://host:26379/master) or nodes of a cluster.",
            read: { StoreURL($0) }, write: { $0.description }),
        ConfigurationKey(
            "store.prefix", \.store.prefix, reload: .restart, allowed: "a text of up to 64 bytes without spaces and braces",
            meaning: "Beginning of every key in the shared store.", read: { only($0).flatMap(prefix) }, write: { $0 }),
        ConfigurationKey(
            "store.user", \.store.user, reload: .restart, allowed: "a name of up to 256 bytes without spaces",
            meaning: "User of the shared store. Empty: that of the URL, or the server's default user.",
            read: { only($0).flatMap(userName) }, write: { $0 }),
        ConfigurationKey(
            "store.password_file", \.store.passwordFile, reload: .restart, allowed: pathAllowed,
            meaning: "File with the password of the shared store.",
            read: { only($0).flatMap(filePath).map(Optional.some) }, write: { $0 }),
        .choice(
            "store.acknowledge", \.store.acknowledge,
            "Whether a message is acknowledged when the shared store has it in memory, has synced it to its disk, or when replicas have it."
        ),
        .count(
            "store.replicas", \.store.replicas, in: 1...100, zero: nil,
            "Number of replicas that must have a message before it is acknowledged, with store.acknowledge: replicas."),
        .duration(
            "store.acknowledge_timeout", \.store.acknowledgeTimeout,
            "Maximum time to wait for the replicas, after which new messages are rejected until they follow."),
        ConfigurationKey(
            "store.tls.ca", \.store.authority, reload: .restart, allowed: pathAllowed,
            meaning: "PEM file of the CAs that are trusted for rediss:// URLs, instead of the system's.",
            read: { only($0).flatMap(filePath).map(Optional.some) }, write: { $0 }),
        ConfigurationKey(
            "store.tls.certificate", \.store.certificate, reload: .restart, allowed: "cert.pem:key.pem",
            meaning: "Client certificate with its private key, for servers that require one.",
            read: { only($0).flatMap { CertificateFiles($0) }.map(Optional.some) }, write: { $0?.description }),
    ]

    /// Returns the text if all keys can begin with it. A brace would determine the slots of keys in a cluster.
    @Sendable private static func prefix(_ text: String) -> String? {
        text.utf8.count <= 64 && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != 0x7B && $0 != 0x7D } ? text : nil
    }

    @Sendable private static func userName(_ text: String) -> String? {
        text.utf8.count <= 256 && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F } ? text : nil
    }
}
