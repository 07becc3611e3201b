/// What must hold between keys, and what an environment demands.
///
/// Each rule looks at effective values. It names the key that has to change, and stays silent when one of its keys was unreadable:
/// that is reported already, and its default says nothing about what was meant.
struct ConfigurationRules {
    let configuration: GatewayConfiguration
    /// Keys whose value was refused.
    let refused: Set<String>
    /// Where the value of a key comes from.
    let source: (String) -> String
    private(set) var problems: [ConfigurationProblem] = []

    init(configuration: GatewayConfiguration, refused: Set<String>, source: @escaping (String) -> String) {
        self.configuration = configuration
        self.refused = refused
        self.source = source
        checkCertificates()
        checkOrigins()
        checkProxies()
        checkHeartbeat()
        checkStore()
        checkOperations()
        checkAuthentication()
        checkConformance()
        for name in configuration.upstreams.keys.sorted() { check(upstream: name) }
        for name in configuration.routes.keys.sorted() { check(route: name) }
    }

    private mutating func checkCertificates() {
        if configuration.tls.certificates.isEmpty, configuration.environment != .development {
            refuse("tls.certificates", allowed: "at least one cert.pem:key.pem outside development, which makes its own")
        }
        if configuration.tls.clientAuth != .none, configuration.tls.clientCA == nil {
            refuse("tls.client_auth", with: ["tls.client_ca"], allowed: "none, unless tls.client_ca names the authorities")
        }
    }

    private mutating func checkOrigins() {
        if isProduction, configuration.http.allowedOrigins.contains("*") {
            refuse("http.allowed_origins", allowed: "exact origins in production, such as [https://app.example]")
        }
    }

    private mutating func checkProxies() {
        if !configuration.connections.trustedProxies.isEmpty {
            refuse("connections.trusted_proxies", allowed: "[]; the PROXY protocol is not available yet")
        }
    }

    private mutating func checkHeartbeat() {
        let heartbeat = configuration.heartbeat
        let least = heartbeat.interval + heartbeat.timeout
        if heartbeat.staleAfter < least {
            refuse(
                "heartbeat.stale_after", with: ["heartbeat.interval", "heartbeat.timeout"],
                allowed: "at least heartbeat.interval + heartbeat.timeout, which is \(ConfigurationNotation.text(least))")
        }
    }

    private mutating func checkStore() {
        if configuration.store.kind == .redis { refuse("store.kind", allowed: "memory or sqlite; redis is not available yet") }
    }

    private mutating func checkOperations() {
        guard configuration.operations.token == nil else { return }
        if isProduction {
            refuse("operations.token", allowed: "a token in production, best from PARLEY_OPERATIONS_TOKEN_FILE")
        } else if !configuration.operations.address.isLoopback {
            refuse(
                "operations.token", with: ["operations.address"],
                allowed: "a token, because operations.address (\(configuration.operations.address)) isn't loopback")
        }
    }

    private mutating func checkAuthentication() {
        switch (configuration.auth.mode, isProduction) {
        case (.none, true): refuse("auth.mode", allowed: "jwt in production, which is not available yet: production can't start yet")
        case (.jwt, true):
            refuse("auth.mode", allowed: "nothing yet in production: jwt is not available yet, and none is refused there")
        case (.jwt, false): refuse("auth.mode", allowed: "none; jwt is not available yet")
        case (.none, false): break
        }
    }

    private mutating func checkConformance() {
        if isProduction, configuration.conformance.echo { refuse("conformance.echo", allowed: "false in production") }
    }

    private var isProduction: Bool { configuration.environment == .production }

    mutating func refuse(_ name: String, with others: [String] = [], allowed: String) {
        guard refused.isDisjoint(with: [name] + others) else { return }
        problems.append(
            ConfigurationProblem(
                key: name, value: ConfigurationKey.named(name)?.shown(in: configuration), source: source(name), allowed: allowed))
    }
}
