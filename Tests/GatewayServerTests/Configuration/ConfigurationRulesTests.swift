import Testing

@testable import GatewayServer

@Suite("What must hold between keys")
struct ConfigurationRulesTests {
    /// Production with what it has to be given; `auth.mode` can't be satisfied yet.
    private static let production = ["--environment=production", "--tls.certificates=a:b", "--operations.token=x"]

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

    @Test func `no other two times are held against each other`() throws {
        #expect(try keys(["--sessions.ttl=100ms", "--sessions.idle=1h", "--connections.max_age=1s", "--sessions.sweep=30d"]) == [])
    }

    @Test func `production demands a certificate and a token, and has no way to authenticate yet`() throws {
        #expect(try keys(["--environment=production"]) == ["tls.certificates", "operations.token", "auth.mode"])
        let mode = try configurationProblems(Self.production)
        #expect(mode.map(\.key) == ["auth.mode"])
        #expect(mode.map(\.source) == ["default"])
        #expect(mode.map(\.value) == ["jwt"])
        #expect(mode[0].allowed.contains("not available yet"))
    }

    @Test func `production refuses what is only for trying things`() throws {
        #expect(try keys(Self.production + ["--auth.mode=none"]) == ["auth.mode"])
        #expect(try keys(Self.production + ["--conformance.echo"]) == ["auth.mode", "conformance.echo"])
        #expect(try keys(Self.production + ["--http.allowed_origins=https://a.example,*"]) == ["http.allowed_origins", "auth.mode"])
        #expect(try keys(Self.production + ["--http.allowed_origins=https://a.example"]) == ["auth.mode"])
    }

    @Test func `staging demands a certificate, and nothing else of it`() throws {
        #expect(try keys(["--environment=staging"]) == ["tls.certificates"])
        #expect(try keys(["--environment=staging", "--tls.certificates=a:b", "--conformance.echo", "--http.allowed_origins=*"]) == [])
    }

    @Test(arguments: ["0.0.0.0:9464", "[::]:9464", "10.0.0.1:9464", "ops.example:9464"])
    func `operations that others can reach need a token`(address: String) throws {
        #expect(try keys(["--operations.address", address]) == ["operations.token"])
        #expect(try keys(["--operations.address", address, "--operations.token", "x"]) == [])
    }

    @Test(arguments: ["127.0.0.2:9464", "[::1]:9464", "localhost:0"])
    func `operations on loopback need none`(address: String) throws {
        #expect(try keys(["--operations.address", address]) == [])
    }

    @Test(
        arguments: [
            ("store.kind", "redis"), ("auth.mode", "jwt"), ("connections.trusted_proxies", "10.0.0.0/8"),
        ])
    func `what isn't built yet is refused as not available yet`(name: String, value: String) throws {
        let found = try configurationProblems(["--\(name)=\(value)"])
        #expect(found.map(\.key) == [name])
        #expect(found[0].source == "--\(name)")
        #expect(found[0].value?.contains(value) == true)
        #expect(found[0].allowed.contains("not available yet"))
    }

    @Test func `client certificates need someone to sign them`() throws {
        #expect(try keys(["--tls.client_auth=required"]) == ["tls.client_auth"])
        #expect(try keys(["--tls.client_auth=optional", "--tls.client_ca=ca.pem"]) == [])
        #expect(try keys(["--tls.client_auth=optional", "--tls.client_ca="]) == ["tls.client_ca"])
    }

    @Test func `a rule is silent about a key that couldn't be read`() throws {
        #expect(try keys(["--environment=staging", "--tls.certificates=nonsense"]) == ["tls.certificates"])
        #expect(try keys(["--heartbeat.interval=nonsense", "--heartbeat.stale_after=1s"]) == ["heartbeat.interval"])
        #expect(try keys(["--operations.address=0.0.0.0:1", "--operations.token="]) == ["operations.token"])
        #expect(try keys(["--operations.address=0.0.0.0:1", "--operations.token"]) == ["operations.token"])
    }
}
