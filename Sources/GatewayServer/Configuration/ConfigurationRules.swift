// SPDX-License-Identifier: Apache-2.0

import GatewayRedis

/// The rules that involve several keys or depend on the environment.
///
/// Each rule checks effective values and reports the key that has to change. A rule is skipped if one of its keys had an invalid value,
/// which is already reported.
struct ConfigurationRules {
    let configuration: GatewayConfiguration
    /// Keys whose value was rejected.
    let rejected: Set<String>
    /// Returns the source of the value of a key.
    let source: (String) -> String
    private(set) var problems: [ConfigurationProblem] = []

    init(configuration: GatewayConfiguration, rejected: Set<String>, source: @escaping (String) -> String) {
        self.configuration = configuration
        self.rejected = rejected
        self.source = source
        checkCertificates()
        checkOrigins()
        checkProxies()
        checkHeartbeat()
        checkStore()
        checkCluster()
        checkOperations()
        checkAuthentication()
        checkConformance()
        for name in configuration.upstreams.keys.sorted() { check(upstream: name) }
        for name in configuration.routes.keys.sorted() { check(route: name) }
    }

    private mutating func checkCertificates() {
        if configuration.tls.certificates.isEmpty, configuration.environment != .development {
            reject(
                "tls.certificates", allowed: "at least one cert.pem:key.pem; only development generates its own",
                example: "tls.certificates: [/etc/parley/tls/cert.pem:/etc/parley/tls/key.pem]")
        }
        if configuration.tls.clientAuth != .none, configuration.tls.clientCA == nil {
            reject(
                "tls.client_auth", with: ["tls.client_ca"], allowed: "none, unless tls.client_ca is set",
                example: "tls.client_ca: /etc/parley/tls/clients.pem")
        }
    }

    private mutating func checkOrigins() {
        if isProduction, configuration.http.allowedOrigins.contains("*") {
            reject(
                "http.allowed_origins", allowed: "exact origins in production, such as [https://app.example]",
                example: "http.allowed_origins: [https://app.example]")
        }
    }

    private mutating func checkProxies() {
        let hasProxies = !configuration.connections.trustedProxies.isEmpty
        if configuration.listen.proxyProtocol != .off, !hasProxies {
            reject(
                "listen.proxy_protocol", with: ["connections.trusted_proxies"],
                allowed: "off, unless connections.trusted_proxies lists the proxies, such as [10.0.0.0/8]")
        }
        guard let plain = configuration.listen.plain else { return }
        if !hasProxies {
            reject(
                "listen.plain", with: ["connections.trusted_proxies"],
                allowed: "no value, unless connections.trusted_proxies lists the proxies, such as [10.0.0.0/8]")
        }
        if configuration.auth.mode == .mtls {
            reject(
                "listen.plain", with: ["auth.mode"],
                allowed: "no value, because clients present their certificates in TLS (auth.mode is mtls)")
        }
        if isProduction, !plain.isPrivate {
            reject(
                "listen.plain",
                allowed: "in production an address that the Internet can't reach, such as 127.0.0.1:8080 or 10.0.0.5:8080, but no wildcard")
        }
    }

    private mutating func checkHeartbeat() {
        let heartbeat = configuration.heartbeat
        let least = heartbeat.interval + heartbeat.timeout
        if heartbeat.staleAfter < least {
            reject(
                "heartbeat.stale_after", with: ["heartbeat.interval", "heartbeat.timeout"],
                allowed: "at least heartbeat.interval + heartbeat.timeout, which is \(ConfigurationNotation.text(least))")
        }
    }

    private mutating func checkStore() {
        guard configuration.store.kind == .redis else { return }
        guard !configuration.store.urls.isEmpty else {
            return reject(
                "store.urls", with: ["store.kind"], allowed: "at least one URL, because store.kind is redis",
                example: "store.urls: [redis://127.0.0.1:6379]")
        }
        do throws(RedisURLFault) {
            _ = try RedisSettings(urls: configuration.store.urls.map(\.url))
        } catch {
            reject("store.urls", allowed: "\(error)")
        }
    }

    private mutating func checkOperations() {
        for (name, token) in configuration.operations.tokens.sorted(by: { $0.key < $1.key }) {
            if token.secret == nil { reject("operations.tokens.\(name).secret", allowed: "a token") }
            if token.rights.isEmpty { reject("operations.tokens.\(name).rights", allowed: "at least one right") }
        }
        guard configuration.operations.allTokens.isEmpty else { return }
        if isProduction {
            reject(
                "operations.token", allowed: "a token in production; set PARLEY_OPERATIONS_TOKEN_FILE", example: Self.operationsToken)
        } else if !configuration.operations.address.isLoopback {
            reject(
                "operations.token", with: ["operations.address"],
                allowed: "a token, because operations.address (\(configuration.operations.address)) isn't loopback",
                example: Self.operationsToken)
        }
    }

    private mutating func checkAuthentication() {
        switch configuration.auth.mode {
        case .none where isProduction: reject("auth.mode", allowed: "jwt or mtls in production", example: "auth.mode: jwt")
        case .jwt where isProduction && !configuration.auth.hasKeySource:
            reject(
                "auth.secret", with: ["auth.mode", "auth.public_keys", "auth.jwks_file", "auth.jwks_url", "auth.minting_key"],
                allowed: "in production a key to verify tokens: auth.secret, auth.public_keys, auth.jwks_file or auth.jwks_url",
                example: "PARLEY_AUTH_SECRET_FILE=/etc/parley/credentials/auth-secret")
        case .mtls where configuration.tls.clientAuth != .required:
            reject(
                "tls.client_auth", with: ["auth.mode"], allowed: "required, because auth.mode is mtls",
                example: "tls.client_auth: required")
        case .none, .jwt, .mtls: break
        }
    }

    private mutating func checkConformance() {
        if isProduction, configuration.demo.enabled {
            reject("demo.enabled", allowed: "false in production", example: "demo.enabled: false")
        }
        if isProduction, configuration.conformance.echo {
            reject("conformance.echo", allowed: "false in production", example: "conformance.echo: false")
        }
    }

    private static let operationsToken = "PARLEY_OPERATIONS_TOKEN_FILE=/etc/parley/credentials/operations-token"

    var isProduction: Bool { configuration.environment == .production }

    mutating func reject(_ name: String, with others: [String] = [], allowed: String, example: String? = nil) {
        guard rejected.isDisjoint(with: [name] + others) else { return }
        problems.append(
            ConfigurationProblem(
                key: name, value: ConfigurationKey.named(name)?.shown(in: configuration), source: source(name), allowed: allowed,
                example: example))
    }
}
