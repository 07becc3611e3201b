// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Testing

@Suite struct OperationsGateTests {
    private let gate = OperationsGate(host: "Gateway.internal", requiresToken: false)
    private static let operatorIdentity = OperationsIdentity(name: "operator", rights: Set(OperationsRight.allCases))

    /// A verdict without the identity of the operator.
    enum Outcome: Sendable, Hashable {
        case pass, invalidHost, foreignHost, foreignOrigin, unauthorized, noTokenConfigured

        init(_ verdict: OperationsGate.Verdict) {
            self =
                switch verdict {
                case .pass: .pass
                case .invalidHost: .invalidHost
                case .foreignHost: .foreignHost
                case .foreignOrigin: .foreignOrigin
                case .unauthorized: .unauthorized
                case .noTokenConfigured: .noTokenConfigured
                }
        }
    }

    private func verdict(
        _ path: String = "/v1/gateway", host: String? = "127.0.0.1:9464", token: String? = nil,
        _ change: (inout OperationsGate.Request) -> Void = { _ in }
    ) -> Outcome {
        var request = OperationsGate.Request(path: path, host: host)
        change(&request)
        return Outcome(gate.verdict(on: request, tokens: Self.tokens(token)))
    }

    private static func tokens(_ token: String?) -> [OperationsToken] { token.map { [OperationsToken($0)] } ?? [] }

    @Test(arguments: [
        "127.0.0.1", "127.0.0.1:9464", "10.1.2.3:1", "[::1]:9464", "[::1]", "[2001:db8::1]:80", "localhost", "LOCALHOST:9464",
        "gateway.internal",
        "gateway.INTERNAL:9464",
    ])
    func `an address, localhost and the configured host are accepted as Host`(host: String) {
        #expect(verdict(host: host) == .pass)
    }

    @Test(arguments: [
        "evil.example", "evil.example:9464", "localhost.evil.example", "127.0.0.1.evil.example", "gateway.internal.evil.example",
        "127.0.0.1:port",
        "127.0.0.1:123456", "[::1", "[::1]x", "[127.0.0.1]", "::1", ":9464", "[]:1", "user@127.0.0.1", "127.0.0.1 ", "127.1", "[localhost]",
        "localhost:9464:1", "0x7f000001",
    ])
    func `any other Host is foreign, as after DNS rebinding, and gets health without details`(host: String) {
        #expect(verdict(host: host) == .foreignHost)
        #expect(!gate.isListenerHost(host))
        for path in ["/livez", "/readyz", "/health"] { #expect(verdict(path, host: host) == .pass) }
    }

    @Test func `exactly one Host is required`() {
        #expect(verdict(host: nil) == .invalidHost)
        #expect(verdict(host: "") == .invalidHost)
        #expect(verdict { $0.hasSeveralHosts = true } == .invalidHost)
    }

    @Test func `a web page of another origin is rejected even for health`() {
        for origin in ["https://evil.example", "null", "", "http://127.0.0.1", "https://127.0.0.1:9464", "http://127.0.0.1:9464, http://x"]
        {
            #expect(verdict { $0.origin = origin } == .foreignOrigin)
            #expect(verdict("/livez") { $0.origin = origin } == .foreignOrigin)
        }
        #expect(verdict { $0.origin = "http://127.0.0.1:9464" } == .pass)
        #expect(verdict(host: "LocalHost:9464") { $0.origin = "HTTP://localhost:9464" } == .pass)
        #expect(verdict(host: "evil.example") { $0.origin = "http://evil.example" } == .foreignHost)
    }

    @Test(
        arguments: [
            ("same-origin", .pass), ("none", .pass), ("cross-site", .foreignOrigin), ("same-site", .foreignOrigin), ("", .foreignOrigin),
        ] as [(String, Outcome)])
    func `Sec-Fetch-Site other than same-origin and none is rejected`(site: String, expected: Outcome) {
        #expect(verdict { $0.fetchSite = site } == expected)
    }

    @Test func `health requires no token; everything else does if one is configured`() {
        for path in ["/livez", "/readyz", "/health"] { #expect(verdict(path, token: "secret") == .pass) }
        for path in ["/v1/gateway", "/", "", "/livez/", "//livez", "/LIVEZ", "/%6civez", "/health/../v1/gateway", "*"] {
            #expect(verdict(path, token: "secret") == .unauthorized)
            #expect(verdict(path) == .pass)
            #expect(verdict(path, token: "") == .pass)
        }
    }

    @Test(
        arguments: [
            ("Bearer secret", .pass), ("bearer secret", .pass), ("BEARER secret", .pass), ("Bearer Secret", .unauthorized),
            ("Bearer secre", .unauthorized),
            ("Bearer secrett", .unauthorized), ("Bearer ", .unauthorized), ("Bearer", .unauthorized), ("", .unauthorized),
            ("secret", .unauthorized),
            ("Basic secret", .unauthorized), ("Bearer  secret", .unauthorized), ("Bearer secret ", .unauthorized),
            ("Bearersecret", .unauthorized),
            ("Bearer secret, Bearer secret", .unauthorized),
        ] as [(String, Outcome)])
    func `only the exact token is accepted`(field: String, expected: Outcome) {
        #expect(verdict("/v1/gateway", token: "secret") { $0.authorization = field } == expected)
    }

    @Test func `if a token is required and none is configured, only health is accessible`() {
        var strict = gate
        strict.requiresToken = true
        var request = OperationsGate.Request(path: "/v1/gateway", host: "localhost")
        request.authorization = "Bearer "
        #expect(Outcome(strict.verdict(on: request, tokens: Self.tokens(nil))) == .noTokenConfigured)
        #expect(Outcome(strict.verdict(on: request, tokens: Self.tokens(""))) == .noTokenConfigured)
        request.authorization = "Bearer secret"
        #expect(Outcome(strict.verdict(on: request, tokens: Self.tokens("secret"))) == .pass)
        request.path = "/readyz"
        #expect(Outcome(strict.verdict(on: request, tokens: Self.tokens(nil))) == .pass)
    }

    @Test(
        arguments: [
            ("127.0.0.1:1", false), ("127.9.9.9:1", false), ("[::1]:1", false), ("[0:0:0:0:0:0:0:1]:1", false), ("LOCALHOST:1", false),
            ("0.0.0.0:1", true), ("[::]:1", true), ("10.0.0.1:1", true), ("127.0.0.1.example:1", true), ("gateway.internal:1", true),
        ])
    func `an address other than loopback requires a token`(text: String, isRequired: Bool) throws {
        let address = try #require(SocketEndpoint(text))
        #expect(OperationsGate(listeningOn: address, requiresToken: false).requiresToken == isRequired)
        #expect(OperationsGate(listeningOn: address, requiresToken: true).requiresToken)
    }

    @Test func `a token identifies its operator; without tokens everyone has all rights, and health has none`() {
        let tokens = [
            OperationsToken("secret"), OperationsToken("reader", identity: OperationsIdentity(name: "grafana", rights: [.read])),
            // A token that two names share is the first one's.
            OperationsToken("reader", identity: OperationsIdentity(name: "second", rights: [.erase])),
        ]
        var request = OperationsGate.Request(path: "/v1/gateway", host: "localhost")
        request.authorization = "Bearer secret"
        #expect(gate.verdict(on: request, tokens: tokens) == .pass(Self.operatorIdentity))
        request.authorization = "Bearer reader"
        #expect(gate.verdict(on: request, tokens: tokens) == .pass(OperationsIdentity(name: "grafana", rights: [.read])))
        request.authorization = "Bearer reade"
        #expect(gate.verdict(on: request, tokens: tokens) == .unauthorized)
        request.authorization = nil
        #expect(
            gate.verdict(on: request, tokens: []) == .pass(OperationsIdentity(name: "anonymous", rights: Set(OperationsRight.allCases))))
        request.isOpen = true
        #expect(gate.verdict(on: request, tokens: tokens) == .pass(OperationsIdentity(name: "anonymous", rights: [])))
        request.origin = "https://evil.example"
        #expect(gate.verdict(on: request, tokens: tokens) == .foreignOrigin)
    }
}
