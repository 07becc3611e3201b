// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayServer

@Suite("Rules between keys")
struct ConfigurationRulesTests {
    /// Production with the required keys.
    private static let production = [
        "--environment=production", "--tls.certificates=a:b", "--operations.token=x", "--auth.public_keys=ES256:key.pem",
    ]

    private func keys(_ arguments: [String]) throws -> [String] { try configurationProblems(arguments).map(\.key) }

    @Test func `stale_after is at least interval and timeout together`() throws {
        let others = ["--heartbeat.interval=30s", "--heartbeat.timeout=10s"]
        #expect(try configurationProblems(others + ["--heartbeat.stale_after=40s"]) == [])
        let expected = ConfigurationProblem(
            key: "heartbeat.stale_after", value: "39999ms", source: "--heartbeat.stale_after",
            allowed: "at least heartbeat.interval + heartbeat.timeout, which is 40s")
        #expect(try configurationProblems(others + ["--heartbeat.stale_after=39999ms"]) == [expected])
        #expect(try configurationProblems(["--heartbeat.interval=51s"]).map(\.source) == ["default"])
    }

    @Test func `other durations are independent of each other`() throws {
        #expect(try keys(["--sessions.ttl=100ms", "--sessions.idle=1h", "--connections.max_age=1s", "--sessions.sweep=30d"]) == [])
    }

    @Test func `production requires a certificate, a token and a key that verifies tokens`() throws {
        #expect(try keys(["--environment=production"]) == ["tls.certificates", "operations.token", "auth.secret"])
        #expect(try keys(Self.production) == [])
        let found = try configurationProblems(Array(Self.production.dropLast()))
        #expect(found.map(\.key) == ["auth.secret"])
        #expect(found.map(\.source) == ["default"])
    }

    @Test(
        arguments: [
            "auth.secret=0123456789abcdef0123456789abcdef", "auth.public_keys=EdDSA:a.pem", "auth.jwks_file=a", "auth.jwks_url=https://a",
            "auth.minting_key=ES256:a.pem",
        ])
    func `any source of keys satisfies production`(setting: String) throws {
        #expect(try keys(Self.production.dropLast() + ["--" + setting]) == [])
    }

    @Test func `staging without a key to verify tokens starts with a warning`() throws {
        let arguments = ["--environment=staging", "--tls.certificates=a:b"]
        #expect(try loadConfiguration(arguments).warnings.contains { $0.hasPrefix("auth.secret (default): no key") })
        #expect(try loadConfiguration(arguments + ["--auth.jwks_file=a"]).warnings == [])
    }

    @Test func `authentication by client certificate requires one from every client`() throws {
        #expect(try keys(["--auth.mode=mtls"]) == ["tls.client_auth"])
        #expect(try keys(["--auth.mode=mtls", "--tls.client_auth=optional", "--tls.client_ca=a"]) == ["tls.client_auth"])
        #expect(try keys(["--auth.mode=mtls", "--tls.client_auth=required", "--tls.client_ca=a"]) == [])
    }

    @Test func `production rejects settings for development and tests`() throws {
        #expect(try keys(Self.production + ["--auth.mode=none"]) == ["auth.mode"])
        #expect(try keys(Self.production + ["--conformance.echo"]) == ["conformance.echo"])
        #expect(try keys(Self.production + ["--http.allowed_origins=https://a.example,*"]) == ["http.allowed_origins"])
        #expect(try keys(Self.production + ["--http.allowed_origins=https://a.example"]) == [])
    }

    @Test func `staging requires only a certificate`() throws {
        #expect(try keys(["--environment=staging"]) == ["tls.certificates"])
        #expect(try keys(["--environment=staging", "--tls.certificates=a:b", "--conformance.echo", "--http.allowed_origins=*"]) == [])
    }

    @Test(arguments: ["0.0.0.0:9464", "[::]:9464", "10.0.0.1:9464", "ops.example:9464"])
    func `an operations address other than loopback requires a token`(address: String) throws {
        #expect(try keys(["--operations.address", address]) == ["operations.token"])
        #expect(try keys(["--operations.address", address, "--operations.token", "x"]) == [])
    }

    @Test(arguments: ["127.0.0.2:9464", "[::1]:9464", "localhost:0"])
    func `an operations address on loopback requires no token`(address: String) throws {
        #expect(try keys(["--operations.address", address]) == [])
    }

    @Test func `a Redis store requires URLs that go together, and no other kind does`() throws {
        #expect(try keys(["--store.kind=redis"]) == ["store.urls"])
        #expect(try keys(["--store.kind=redis", "--store.urls=redis://a"]) == [])
        #expect(try keys(["--store.kind=redis", "--store.urls=redis+cluster://a,redis+cluster://b"]) == [])
        let found = try configurationProblems(["--store.kind=redis", "--store.urls=redis://a,rediss://u:hunter2@b"])
        #expect(found.map(\.key) == ["store.urls"])
        #expect(found[0].allowed.contains("the same scheme") && !"\(found[0])".contains("hunter2"))
        #expect(try keys(["--store.kind=redis", "--store.urls=nonsense"]) == ["store.urls"])
        #expect(try keys(["--store.urls=redis://a,rediss://b"]) == [])
    }

    @Test func `PROXY headers and the listener without TLS require trusted proxies`() throws {
        #expect(try keys(["--listen.proxy_protocol=optional"]) == ["listen.proxy_protocol"])
        #expect(try keys(["--listen.plain=127.0.0.1:0", "--listen.proxy_protocol=required"]) == ["listen.proxy_protocol", "listen.plain"])
        let proxies = "--connections.trusted_proxies=127.0.0.1"
        #expect(try keys(["--listen.plain=127.0.0.1:0", "--listen.proxy_protocol=required", proxies]) == [])
        #expect(try keys(["--listen.plain=127.0.0.1:0", "--connections.trusted_proxies=nonsense"]) == ["connections.trusted_proxies"])
    }

    @Test func `the listener without TLS is rejected if clients authenticate with certificates`() throws {
        let certificates = ["--auth.mode=mtls", "--tls.client_auth=required", "--tls.client_ca=ca.pem"]
        #expect(try keys(certificates) == [])
        #expect(try keys(certificates + ["--listen.plain=127.0.0.1:0", "--connections.trusted_proxies=127.0.0.1"]) == ["listen.plain"])
    }

    @Test(arguments: [
        ("127.0.0.1:8080", true), ("[::1]:8080", true), ("localhost:8080", true), ("10.0.0.5:8080", true), ("172.16.0.1:1", true),
        ("192.168.1.1:1", true), ("100.64.0.1:1", true), ("169.254.1.1:1", true), ("[fd00::1]:1", true), ("[fe80::1]:1", true),
        ("0.0.0.0:8080", false), ("[::]:8080", false), ("192.0.2.1:8080", false), ("[2001:db8::1]:8080", false),
        ("gateway.example:1", false),
    ])
    func `in production the listener without TLS must have a private address`(address: String, isAllowed: Bool) throws {
        let flags = ["--listen.plain=\(address)", "--connections.trusted_proxies=10.0.0.0/8"]
        #expect(try keys(Self.production + flags) == (isAllowed ? [] : ["listen.plain"]))
        #expect(try keys(flags) == [])
    }

    @Test(arguments: [("0.0.0.0/0", 1), ("10.0.0.0/8,::/0", 1), ("10.0.0.0/8", 0)])
    func `trusting every address is reported`(proxies: String, warnings: Int) throws {
        #expect(
            try loadConfiguration(["--connections.trusted_proxies=\(proxies)"]).warnings.filter { $0.contains("trusted_proxies") }.count
                == warnings)
    }

    @Test func `the listener of a cluster requires authentication and an address for others`() throws {
        let secret = "--cluster.secret=0123456789abcdef"
        let files = ["--cluster.tls.certificate=a.pem", "--cluster.tls.key=a.key", "--cluster.tls.ca=ca.pem"]
        let listen = "--cluster.listen=10.0.0.5:9465"
        #expect(try keys([listen]) == ["cluster.listen"])
        #expect(try keys([listen, secret]) == [])
        #expect(try keys([listen] + files) == [])
        #expect(try keys([listen, secret] + files) == [])
        #expect(try keys([listen, secret, files[0]]) == ["cluster.tls.key", "cluster.tls.ca"])
        #expect(try keys([listen] + files.dropFirst()) == ["cluster.tls.certificate"])
        for wildcard in ["0.0.0.0:9465", "[::]:9465"] {
            #expect(try keys(["--cluster.listen=\(wildcard)", secret]) == ["cluster.advertise"])
            #expect(try keys(["--cluster.listen=\(wildcard)", secret, "--cluster.advertise=10.0.0.5:9465"]) == [])
            #expect(try keys([listen, secret, "--cluster.advertise=\(wildcard)"]) == ["cluster.advertise"])
        }
        #expect(try keys([listen, secret, "--cluster.advertise=10.0.0.5:0"]) == ["cluster.advertise"])
        #expect(try keys([listen, "--cluster.secret=0123456789abcde"]) == ["cluster.secret"])
    }

    @Test func `client certificates require a CA`() throws {
        #expect(try keys(["--tls.client_auth=required"]) == ["tls.client_auth"])
        #expect(try keys(["--tls.client_auth=optional", "--tls.client_ca=ca.pem"]) == [])
        #expect(try keys(["--tls.client_auth=optional", "--tls.client_ca="]) == ["tls.client_ca"])
    }

    @Test func `a rule is skipped if one of its keys is invalid`() throws {
        #expect(try keys(["--environment=staging", "--tls.certificates=nonsense"]) == ["tls.certificates"])
        #expect(try keys(["--heartbeat.interval=nonsense", "--heartbeat.stale_after=1s"]) == ["heartbeat.interval"])
        #expect(try keys(["--operations.address=0.0.0.0:1", "--operations.token="]) == ["operations.token"])
        #expect(try keys(["--operations.address=0.0.0.0:1", "--operations.token"]) == ["operations.token"])
    }

    @Test func `a named token of the operations listener satisfies production, and requires a secret and a right`() throws {
        let others = Self.production.filter { !$0.hasPrefix("--operations") }
        let secret = "--operations.tokens.grafana.secret=s3cret"
        #expect(try keys(others + [secret, "--operations.tokens.grafana.rights=read,push"]) == [])
        #expect(
            try keys(others + ["--operations.tokens.grafana.rights=read"]) == ["operations.tokens.grafana.secret", "operations.token"])
        #expect(try keys(others + [secret]) == ["operations.tokens.grafana.rights"])
        #expect(try keys([secret, "--operations.tokens.grafana.rights=read,write"]) == ["operations.tokens.grafana.rights"])
        let misnamed = try configurationProblems(["--operations.tokens.Grafana.secret=x"])
        #expect(misnamed.map(\.key) == ["--operations.tokens.Grafana.secret"])
        #expect(misnamed.allSatisfy { $0.allowed.hasPrefix("below operations.tokens: a name of 1 to 32 characters") })
        #expect(try keys(["--operations.tokens.grafana.right=read"]) == ["--operations.tokens.grafana.right"])
    }

    @Test func `a named token is read from files, variables and secret files, and never shown`() throws {
        let directory = try ConfigurationDirectory([
            "gateway.yaml": "operations:\n  tokens:\n    grafana:\n      secret: s3cret\n      rights: [read]\n", "secret": "other\n",
        ])
        let loaded = try directory.load(
            [],
            [
                "PARLEY_OPERATIONS_TOKENS_SUPPORT_SECRET_FILE": directory.path + "/secret",
                "PARLEY_OPERATIONS_TOKENS_SUPPORT_RIGHTS": "read,content,supervise",
            ])
        #expect(
            loaded.configuration.operations.allTokens == [
                OperationsToken("s3cret", identity: OperationsIdentity(name: "grafana", rights: [.read])),
                OperationsToken("other", identity: OperationsIdentity(name: "support", rights: [.read, .content, .supervise])),
            ])
        #expect(!loaded.listing.contains("s3cret"))
        #expect(loaded.listing.contains("operations.tokens.grafana.secret"))
    }
}
