// SPDX-License-Identifier: Apache-2.0

/// The decisions of production that aren't errors: defaults that production rarely wants.
///
/// They are reported together with problems, so that one run of `config check` lists everything that is left to decide.
extension ConfigurationRules {
    var openDecisions: [String] {
        guard isProduction else { return [] }
        return [audience, upstream, storeKind, storePath].compactMap(\.self)
    }

    private var audience: String? {
        let auth = configuration.auth
        guard auth.mode == .jwt, auth.audience.isEmpty, auth.jwksURL != nil || auth.jwksFile != nil || !auth.publicKeys.isEmpty else {
            return nil
        }
        return decision(
            "auth.audience", "tokens that the issuer signs for other services are accepted as well", example: "auth.audience: parley")
    }

    private var upstream: String? {
        let example = "upstreams.chat: {kind: openai, urls: [\"http://127.0.0.1:8000/v1\"], model: qwen3}"
        if configuration.upstreams.isEmpty {
            return decision("upstreams", "all requests go to the built-in loopback, which returns them", example: example)
        }
        guard configuration.routes.isEmpty else { return nil }
        let name = configuration.upstreams.keys.min() ?? "chat"
        return decision(
            "routes", "all requests go to the built-in loopback, which returns them", example: "routes.talk: {upstreams: [\(name)]}")
    }

    private var storeKind: String? {
        guard configuration.store.kind == .memory else { return nil }
        return decision("store.kind", "a restart loses all sessions and acknowledged messages", example: "store.kind: sqlite")
    }

    private var storePath: String? {
        guard configuration.store.kind == .sqlite, !configuration.store.path.hasPrefix("/") else { return nil }
        return decision(
            "store.path",
            "\(configuration.store.path) is relative to the working directory, so the store depends on how the gateway is started",
            example: "store.path: /var/lib/parley/parley.sqlite")
    }

    /// Returns the text of a decision; nil if the key's value was rejected, which is reported as a problem.
    private func decision(_ key: String, _ effect: String, example: String) -> String? {
        let isRejected = rejected.contains { $0 == key || $0.hasPrefix(key + ".") }
        return isRejected ? nil : "\(key) (\(source(key))): \(effect); example: \(example)"
    }
}
