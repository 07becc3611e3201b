// SPDX-License-Identifier: Apache-2.0

import Testing

/// The expected properties of one key, written by hand, to compare the table of keys with.
struct KeySample: Sendable, CustomTestStringConvertible {
    let name: String
    /// Built-in defaults as `config print` shows them.
    let development: String, staging: String, production: String
    /// Another value that is allowed on its own in development.
    let other: String
    /// Values that are rejected because of their form or bounds.
    let rejected: [String]
    /// Further allowed values: the bounds themselves.
    let allowed: [String]
    /// Whether a reload applies a new value.
    let live: Bool

    var testDescription: String { name }

    init(
        _ name: String, _ base: String, dev: String? = nil, staging: String? = nil, prod: String? = nil, other: String,
        _ bounds: Bounds, live: Bool = false
    ) {
        self.name = name
        self.development = dev ?? base
        self.staging = staging ?? base
        self.production = prod ?? base
        self.other = other
        (allowed, rejected) = (bounds.allowed, bounds.rejected)
        self.live = live
    }

    /// Values just below, at and above the bounds.
    struct Bounds: Sendable {
        var allowed: [String]
        var rejected: [String]

        static let duration = Bounds(
            allowed: ["100ms", "3650d", "87600h"],
            rejected: ["99ms", "0", "0s", "3651d", "315360001s", "-1s", "5", "5 s", "1h30m", "1.5s", "s", "", "9223372036854775807d", "∞"])
        static let durationOrZero = Bounds(
            allowed: ["100ms", "3650d", "0", "0ms", "0s"], rejected: ["99ms", "1ms", "3651d", "-1s", "5", "s", "", "3650d1"])
        static let size = Bounds(
            allowed: ["0", "1", "1B", "1TB", "1000000000000"],
            rejected: [
                "1000000000001", "1001GB", "1TiB", "-1", "1.5KB", "KB", "1kb", "1K", "", "99999999999999999999", "9223372036854775807GB",
            ])
        static let count = Bounds(
            allowed: ["0", "1", "1000000000"],
            rejected: ["1000000001", "-1", "+1", "1.5", "1e3", "0x10", "1_000", "", "many", "99999999999999999999"])
        static let factor = Bounds(
            allowed: ["0", "0.001", "1", "1000000000", "2.25"],
            rejected: ["0.0009", "1000000000.1", "-1", "1.", ".5", "1e3", "inf", "nan", "", "1.2.3"])
        static let toggle = Bounds(allowed: ["true", "false"], rejected: ["yes", "1", "True", "on", ""])
        static let endpoint = Bounds(
            allowed: ["127.0.0.1:0", "0.0.0.0:65535", "[::]:1", "localhost:1", "gateway.example:443"],
            rejected: [
                "127.0.0.1:65536", "127.0.0.1", ":1", "::1:1", "[::1]", "[127.0.0.1]:1", "256.0.0.1:1", "a b:1", "a:", "a:-1", "a:b", "",
            ])
        static let text = Bounds(
            allowed: ["", "a", String(repeating: "a", count: 1024)], rejected: [String(repeating: "a", count: 1025), "a\0b"])
        static let path = Bounds(allowed: ["a", String(repeating: "a", count: 4096)], rejected: ["", String(repeating: "a", count: 4097)])

        static func words(_ words: String...) -> Bounds {
            Bounds(allowed: words, rejected: ["", "nonsense", words[0].uppercased() + "x", words[0] + " "])
        }
    }
}

extension KeySample {
    static let all: [KeySample] = [
        .init("listen.address", "0.0.0.0:8443", dev: "127.0.0.1:8443", other: "127.0.0.2:0", .endpoint),
        .init("listen.loops", "0", other: "2", .init(allowed: ["0", "1", "1024"], rejected: ["1025", "-1", "all"])),
        .init(
            "listen.plain", "off", other: "off",
            .init(allowed: ["off"] + Bounds.endpoint.allowed, rejected: ["Off", "on"] + Bounds.endpoint.rejected)),
        .init("listen.proxy_protocol", "off", other: "off", .words("off", "optional", "required")),
        .init(
            "tls.certificates", "[]", other: "[a.pem:a.key, b.pem:b.key]",
            .init(allowed: ["a:b"], rejected: ["a", "a:", ":b", "a:b:c", "a:b,c"]), live: true),
        .init("tls.minimum_version", "1.2", other: "1.3", .init(allowed: ["1.2", "1.3"], rejected: ["1.1", "1.4", "TLS1.2", ""])),
        .init("tls.handshake_timeout", "10s", other: "3s", .duration),
        .init("tls.ticket_rotation", "12h", other: "1h", .duration),
        .init("tls.client_ca", "(none)", other: "ca.pem", .path),
        .init("tls.client_auth", "none", other: "none", .words("none", "optional", "required")),
        .init("http.header_timeout", "10s", other: "250ms", .duration),
        .init("http.max_header_bytes", "16KiB", other: "8KiB", .size),
        .init("http.max_headers", "100", other: "20", .count),
        .init("http.query_tokens", "false", other: "true", .toggle),
        .init(
            "http.allowed_origins", "[]", dev: "[*]", other: "[https://a.example, http://localhost:3000]",
            .init(
                allowed: [
                    "", "*", "https://a.example", "capacitor://localhost", "https://[::1]:8080", "null", "file://", "ionic://localhost",
                    "tauri://localhost", "app://.", "app://obsidian.md", "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
                    "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc", "safari-web-extension://A1B2C3D4-0000-4000-8000-00805F9B34FB",
                ],
                rejected: [
                    "a.example", "https://", "https://a.example/", "https://a.example/x", "https://*.a.example", "https://u@a.example",
                    "://a", "nul", "null://a/b", "file:", "file://a/b", "app:///x", "1app://localhost", "http://",
                ]),
            live: true),
        .init("connections.max", "1000", other: "7", .count, live: true),
        .init("connections.max_sockets", "1128", other: "50", .count, live: true),
        .init("connections.per_address", "10", dev: "1000", other: "4", .count, live: true),
        .init(
            "connections.trusted_proxies", "[]", other: "[10.0.0.0/8, 2001:db8::/32]",
            .init(
                allowed: ["", "10.0.0.0/8", "::1", "0.0.0.0/0,::/0", "192.0.2.1/32"],
                rejected: ["10.0.0.0/8,", ",::1", "10.0.0.1/8", "10.0.0.0/33", "::/129", "[::1]", "proxy.example", "10.0.0.1:80", "*"]),
            live: true),
        .init("connections.handshakes_per_second", "20", dev: "0", other: "5", .count, live: true),
        .init("connections.per_user", "3", other: "1", .count, live: true),
        .init("connections.when_full", "evict_oldest", other: "reject", .words("evict_oldest", "reject"), live: true),
        .init("connections.max_age", "24h", other: "2h", .durationOrZero, live: true),
        .init("websocket.max_message_bytes", "2MB", other: "64KiB", .size),
        .init("websocket.max_fragments", "1024", other: "8", .count),
        .init("websocket.compression", "shared", other: "off", .words("off", "shared", "dedicated")),
        .init("websocket.close_timeout", "5s", other: "1s", .duration),
        .init("heartbeat.interval", "30s", other: "20s", .duration),
        .init("heartbeat.timeout", "10s", other: "5s", .duration),
        .init("heartbeat.stale_after", "75s", dev: "1m", staging: "90s", other: "70s", .duration),
        .init("messages.max_bytes", "256KB", other: "10KB", .size, live: true),
        .init("messages.max_text_bytes", "100KB", other: "1KB", .size, live: true),
        .init("messages.audio_max_bytes", "1MB", other: "2MB", .size, live: true),
        .init("messages.max_depth", "16", other: "4", .init(allowed: ["1", "64"], rejected: ["0", "65", "-1"]), live: true),
        .init("messages.unknown_fields", "ignore", dev: "reject", other: "ignore", .words("ignore", "reject"), live: true),
        .init("messages.max_violations", "20", other: "3", .count, live: true),
        .init("limits.text_per_minute", "60", dev: "600", other: "12", .count, live: true),
        .init("limits.audio_per_minute", "30", dev: "300", other: "6", .count, live: true),
        .init("limits.audio_chunks_per_second", "200", other: "50", .count, live: true),
        .init("limits.audio_realtime_factor", "1.5", other: "2.25", .factor, live: true),
        .init("limits.control_per_minute", "240", other: "24", .count, live: true),
        .init("limits.refusals_per_minute", "240", other: "24", .count, live: true),
        .init("limits.bytes_per_second", "1MB", other: "500KB", .size, live: true),
        .init("limits.per_address_factor", "10", dev: "1000", other: "2.5", .factor, live: true),
        .init("limits.global_per_second", "0", other: "10000", .count, live: true),
        .init("sessions.max", "1000", other: "10", .count),
        .init("sessions.max_detached", "1000", other: "10", .count),
        .init("sessions.ttl", "24h", other: "1h", .durationOrZero),
        .init("sessions.idle", "30m", other: "1m", .durationOrZero),
        .init("sessions.resume_window", "2m", other: "1m", .duration),
        .init("sessions.sweep", "5m", dev: "30s", other: "200ms", .duration),
        .init("sessions.history_messages", "1000", other: "5", .count),
        .init("sessions.history_bytes", "256KiB", other: "1KiB", .size),
        .init("sessions.duplicate_ids", "1000", other: "5", .count),
        .init("sessions.outbox_messages", "1000", other: "5", .count),
        .init("sessions.outbox_bytes", "1MiB", other: "2MiB", .size),
        .init("sessions.memory_budget", "6MiB", other: "3MiB", .size),
        .init("sessions.total_memory_budget", "1GiB", other: "2GiB", .size),
        .init("delivery.send_timeout", "5s", other: "1s", .duration),
        .init("delivery.upstream_queue_bytes", "256KiB", other: "1KiB", .size),
        .init(
            "delivery.coalesce", "0ms", other: "50ms", .init(allowed: ["0", "1ms", "99ms", "3650d"], rejected: ["3651d", "-1s", "5", ""]),
            live: true),
        .init("delivery.socket_queue_bytes", "1MiB", other: "2MiB", .size),
        .init("push.undelivered_max", "1000", other: "5", .count, live: true),
        .init("supervision.takeover_timeout", "10m", other: "5m", .durationOrZero, live: true),
        .init("store.kind", "sqlite", dev: "memory", other: "memory", .words("memory", "sqlite", "redis")),
        .init("store.path", "var/parley.sqlite", other: "/var/lib/parley/store", .path),
        .init("store.synchronous", "full", other: "normal", .words("full", "normal", "off")),
        .init("store.max_bytes", "8GiB", other: "1GB", .size),
        .init(
            "store.urls", "[]", other: "[redis://a.example:6380/2, redis://b.example]",
            .init(
                allowed: [
                    "", "redis://127.0.0.1:6379", "rediss://[::1]:6380", "redis+sentinel://a:26379/main", "rediss+cluster://a:1",
                ],
                rejected: [
                    "127.0.0.1:6379", "http://a", "redis://", "redis://a:0", "redis://a/x", "redis+sentinel://a", "redis+cluster://a/1",
                ])),
        .init(
            "store.prefix", "parley:", other: "chat-",
            .init(allowed: ["", "a", String(repeating: "a", count: 64)], rejected: [String(repeating: "a", count: 65), "a b", "{a}"])),
        .init(
            "store.user", "", other: "parley",
            .init(allowed: ["", String(repeating: "a", count: 256)], rejected: [String(repeating: "a", count: 257), "a b"])),
        .init("store.password_file", "(none)", other: "password.txt", .path),
        .init("store.acknowledge", "memory", other: "replicas", .words("memory", "disk", "replicas")),
        .init("store.replicas", "1", other: "2", .init(allowed: ["1", "100"], rejected: ["0", "101", "-1", ""])),
        .init("store.acknowledge_timeout", "1s", other: "200ms", .duration),
        .init("store.tls.ca", "(none)", other: "ca.pem", .path),
        .init("store.tls.certificate", "(none)", other: "a.pem:a.key", .init(allowed: ["a:b"], rejected: ["", "a", "a:", ":b", "a:b:c"])),
        .init("reports.keep", "30d", other: "7d", .duration, live: true),
        .init("reports.content", "full", prod: "metadata", other: "metadata", .words("full", "metadata"), live: true),
        .init("operations.address", "127.0.0.1:9464", other: "127.0.0.2:0", .endpoint),
        .init(
            "operations.token", "(none)", other: "s3cret",
            .init(
                allowed: ["x", String(repeating: "x", count: 1024)],
                rejected: ["", "two words", "über", String(repeating: "x", count: 1025)]),
            live: true),
        .init(
            "operations.tls.certificates", "[]", other: "[a.pem:a.key, b.pem:b.key]",
            .init(allowed: ["a:b"], rejected: ["a", "a:", ":b", "a:b:c", "a:b,c"]), live: true),
        .init(
            "logging.level", "info", dev: "debug", other: "warning",
            .words("trace", "debug", "info", "notice", "warning", "error", "critical"), live: true),
        .init("logging.format", "json", dev: "console", other: "json", .words("json", "console")),
        .init("shutdown.drain", "30s", dev: "2s", other: "10s", .duration),
        .init(
            "cluster.listen", "off", other: "off",
            .init(allowed: ["off"] + Bounds.endpoint.allowed, rejected: ["Off", "on"] + Bounds.endpoint.rejected)),
        .init(
            "cluster.advertise", "(none)", other: "10.0.0.5:9465",
            .init(allowed: ["10.0.0.5:1", "[fd00::1]:65535", "node-1.example:9465"], rejected: Bounds.endpoint.rejected)),
        .init(
            "cluster.secret", "(none)", other: "0123456789abcdef",
            .init(
                allowed: [String(repeating: "x", count: 16), String(repeating: "x", count: 4096)],
                rejected: ["", String(repeating: "x", count: 15), String(repeating: "x", count: 4097)])),
        .init("cluster.tls.certificate", "(none)", other: "node.pem", .path),
        .init("cluster.tls.key", "(none)", other: "node.key", .path),
        .init("cluster.tls.ca", "(none)", other: "nodes.pem", .path),
        .init(
            "cluster.node", "", other: "a.B_c-9",
            .init(allowed: ["", "a", String(repeating: "a", count: 64)], rejected: [String(repeating: "a", count: 65), "a b", "ä", "a/b"])),
        .init("cluster.lease", "5s", other: "1s", .init(allowed: ["1s", "60s", "1m"], rejected: ["999ms", "61s", "0", "5", ""])),
        .init(
            "audit.path", "", other: "var/audit.log",
            .init(allowed: ["", "-", "a", String(repeating: "a", count: 4096)], rejected: [String(repeating: "a", count: 4097), "a\0b"])),
        .init("audit.queue", "8192", other: "100", .init(allowed: ["1", "1000000"], rejected: ["0", "1000001", "-1", ""])),
        .init(
            "tracing.otlp_url", "(none)", other: "http://127.0.0.1:4318/",
            .init(
                allowed: ["", "http://collector:4318", "https://collector.example/v1/traces"],
                rejected: ["collector:4318", "ws://collector:4318", "ftp://a", "http://", "http://u:p@a", "http://a/#b"])),
        .init(
            "tracing.sample", "0.01", other: "0.5",
            .init(allowed: ["0", "0.001", "1"], rejected: ["0.0009", "1.001", "-1", "all", ""]), live: true),
        .init("tracing.keep_slower_than", "2s", other: "500ms", .durationOrZero, live: true),
        .init("tracing.keep_failed", "true", other: "false", .toggle, live: true),
        .init("tracing.queue", "2048", other: "100", .init(allowed: ["1", "1000000"], rejected: ["0", "1000001", "-1", ""])),
        .init("auth.mode", "jwt", dev: "none", other: "jwt", .words("none", "jwt", "mtls")),
        .init(
            "auth.secret", "[]", other: "[\(String(repeating: "s", count: 32))]",
            .init(
                allowed: [String(repeating: "s", count: 32), String(repeating: "s", count: 4096)],
                rejected: [String(repeating: "s", count: 31), String(repeating: "s", count: 4097), ","]),
            live: true),
        .init(
            "auth.public_keys", "[]", other: "[ES256:a.pem, k1@EdDSA:b.pem]",
            .init(
                allowed: ["", "RS512:a", "\(String(repeating: "k", count: 256))@PS384:a", "a@b@ES512:c:d"],
                rejected: ["a.pem", "HS256:a", "ES256:", ":a", "@ES256:a", "\(String(repeating: "k", count: 257))@ES256:a", "es256:a"]),
            live: true),
        .init("auth.jwks_file", "(none)", other: "keys.json", .path, live: true),
        .init(
            "auth.jwks_url", "(none)", other: "https://id.example/keys",
            .init(allowed: ["https://a", "https://[::1]:1/x?y=z"], rejected: ["http://a", "wss://a", "a", "", "https://u:p@a"]), live: true),
        .init("auth.jwks_refresh", "1h", other: "10m", .duration, live: true),
        .init("auth.jwks_minimum_interval", "30s", other: "10s", .duration, live: true),
        .init("auth.jwks_ca", "(none)", other: "ca.pem", .path, live: true),
        .init("auth.issuer", "", other: "https://id.example", .text, live: true),
        .init("auth.audience", "", other: "parley", .text, live: true),
        .init("auth.leeway", "30s", other: "5s", .durationOrZero, live: true),
        .init("auth.max_lifetime", "24h", other: "1h", .durationOrZero, live: true),
        .init(
            "auth.user_claim", "sub", other: "email",
            .init(allowed: ["a", String(repeating: "a", count: 64)], rejected: ["", String(repeating: "a", count: 65)]), live: true),
        .init("auth.failures_per_minute", "30", other: "5", .count, live: true),
        .init("auth.claims_factor", "10", other: "2", .init(allowed: ["1", "1000"], rejected: ["0", "1001", "-1", "1.5"]), live: true),
        .init(
            "auth.minting_key", "(none)", other: "k1@ES256:key.pem",
            .init(allowed: ["EdDSA:a"], rejected: ["", "a", "HS256:a", "ES256:"]), live: true),
        .init("quotas.messages_per_day", "0", other: "100", .factor, live: true),
        .init("quotas.messages_per_month", "0", other: "100", .factor, live: true),
        .init("quotas.audio_seconds_in_per_day", "0", other: "600", .factor, live: true),
        .init("quotas.audio_seconds_in_per_month", "0", other: "600", .factor, live: true),
        .init("quotas.audio_seconds_out_per_day", "0", other: "600", .factor, live: true),
        .init("quotas.audio_seconds_out_per_month", "0", other: "600", .factor, live: true),
        .init("quotas.input_tokens_per_day", "0", other: "10000", .factor, live: true),
        .init("quotas.input_tokens_per_month", "0", other: "10000", .factor, live: true),
        .init("quotas.output_tokens_per_day", "0", other: "10000", .factor, live: true),
        .init("quotas.output_tokens_per_month", "0", other: "10000", .factor, live: true),
        .init("quotas.cost_per_day", "0", other: "2.5", .factor, live: true),
        .init("quotas.cost_per_month", "0", other: "2.5", .factor, live: true),
        .init("demo.enabled", "false", dev: "true", other: "false", .toggle),
        .init("conformance.echo", "false", other: "true", .toggle),
    ]
}
