// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import GatewayTLS
import Support
import Synchronization
import Testing

@Suite struct TokenAuthorityTests {
    private typealias Keys = TokenTestKeys

    private func request(_ json: String) throws -> TokenRequest { try TokenRequest(json: Array(json.utf8)) }

    private func grant(_ authority: TokenAuthority, _ token: String, now: Int64 = Keys.now) throws -> Grant {
        guard case .granted(let grant) = authority.verify(token, now: now) else {
            throw TestFailure("not granted: \(authority.verify(token, now: now))")
        }
        return grant
    }

    private func algorithm(of token: String) throws -> SignatureAlgorithm { try CompactToken(token).algorithm }

    // MARK: Keys

    @Test func `an unknown kid or algorithm may be in a newer key set; a known one is invalid`() throws {
        let (signer, verifier) = try #require(Keys.pair(for: .es256))
        let other = try GeneratedTokenKey().signer.key
        let authority = try Keys.authority(TokenSettings(secrets: [Keys.secret]), keys: [KeyRing.Entry(keyID: "k1", verifier)])
        func outcome(_ header: String, _ key: SignatureKey, _ algorithm: SignatureAlgorithm = .es256) throws -> TokenAuthority.Outcome {
            authority.verify(try Keys.token(header, key: key, algorithm), now: Keys.now)
        }
        #expect(try outcome(#"{"alg":"ES256","kid":"k2"}"#, signer) == .unknownKey)
        #expect(try outcome(#"{"alg":"ES256","kid":"k1"}"#, other) == .rejected(.invalidSignature))
        #expect(try outcome(#"{"alg":"ES256"}"#, other) == .rejected(.invalidSignature))
        let (rsa, _) = Keys.pairs[1]
        #expect(try outcome(#"{"alg":"RS256"}"#, rsa, .rs256) == .unknownKey)
        #expect(try outcome(#"{"alg":"RS256","kid":"k1"}"#, rsa, .rs256) == .rejected(.invalidSignature), "the kid belongs to an ES256 key")
        let secret = try SignatureKey(secret: Array("another secret of at least 32 bytes".utf8))
        #expect(try outcome(#"{"alg":"HS256","kid":"k2"}"#, secret, .hs256) == .rejected(.invalidSignature), "key sets have no secrets")
        authority.replaceKeySet([KeyRing.Entry(keyID: "k2", verifier)])
        #expect(try grant(authority, Keys.token(#"{"alg":"ES256","kid":"k2"}"#, key: signer, .es256)).user == "u1")
        #expect(try outcome(#"{"alg":"ES256","kid":"k1"}"#, signer) == .unknownKey)
    }

    @Test func `eight keys are tried for a token without kid; the ninth isn't`() throws {
        let (signer, verifier) = try #require(Keys.pair(for: .es256))
        let others = try (0..<8).map { KeyRing.Entry(keyID: "o\($0)", try GeneratedTokenKey().signer.key) }
        let token = try CompactToken(Keys.token(#"{"alg":"ES256"}"#, key: signer, .es256))
        #expect(KeyRing(others.prefix(7) + [KeyRing.Entry(verifier)]).check(token) == .verified)
        #expect(KeyRing(others + [KeyRing.Entry(verifier)]).check(token) == .invalid)
        let named = try CompactToken(Keys.token(#"{"alg":"ES256","kid":"k1"}"#, key: signer, .es256))
        let unbound = others.map { KeyRing.Entry($0.key) }
        #expect(KeyRing(unbound + [KeyRing.Entry(keyID: "k1", verifier)]).check(named) == .verified, "the key of the kid goes first")
    }

    @Test func `all secrets verify, for rotation`() throws {
        let authority = try Keys.authority(TokenSettings(secrets: ["a new secret, which signs, of at least 32 bytes", Keys.secret]))
        for algorithm in SignatureAlgorithm.all(of: .hmac) {
            _ = try grant(authority, Keys.token("{\"alg\":\"\(algorithm.rawValue)\"}", key: Keys.pairs[0].0, algorithm))
        }
        try authority.apply(TokenSettings(secrets: ["a new secret, which signs, of at least 32 bytes"]))
        let token = try Keys.token(#"{"alg":"HS256"}"#, key: Keys.pairs[0].0, .hs256)
        #expect(authority.verify(token, now: Keys.now) == .rejected(.invalidSignature))
    }

    @Test func `public keys are read from files, and a reload with a bad file changes nothing`() throws {
        let directory = try TemporaryDirectory()
        let generated = Keys.generated[1]
        let path = try directory.write(try #require(generated.publicPEM), to: "a@b:c.pem")
        let file = try #require(KeyFile("k@1@ES256:\(path)"))
        let authority = try Keys.authority(TokenSettings(publicKeys: [file]))
        let (signer, _) = try #require(Keys.pair(for: .es256))
        let token = try Keys.token(#"{"alg":"ES256","kid":"k@1"}"#, key: signer, .es256)
        _ = try grant(authority, token)
        let bad = [try directory.write(generated.pem, to: "private.pem"), directory.path + "/missing.pem"]
        do throws(TokenKeys.Fault) {
            try authority.apply(TokenSettings(secrets: ["short"], publicKeys: bad.map { KeyFile(algorithm: .es256, path: $0) }))
            Issue.record("the settings were applied")
        } catch {
            #expect(error.problems.count == 3)
            #expect(!"\(error)".contains("short\""))
        }
        _ = try grant(authority, token)
    }

    @Test(arguments: [
        ("ES256:a.pem", KeyFile(algorithm: .es256, path: "a.pem")),
        ("k1@RS256:/a:b@c.pem", KeyFile(keyID: "k1", algorithm: .rs256, path: "/a:b@c.pem")),
        ("EdDSA:/x@ES256:y", KeyFile(algorithm: .edDSA, path: "/x@ES256:y")),
        ("a@b@PS512:k", KeyFile(keyID: "a@b", algorithm: .ps512, path: "k")),
    ])
    func `a key file is written with its algorithm and optionally its kid`(text: String, file: KeyFile) {
        #expect(KeyFile(text) == file)
        #expect(file.description == text)
    }

    @Test(arguments: ["", "a.pem", "ES256", "ES256:", "HS256:a", "none:a", "@ES256:a", "es256:a", "k1@a.pem", "k1@:a"])
    func `any other text is no key file`(text: String) { #expect(KeyFile(text) == nil) }

    @Test func `only configured keys and the key set count as keys`() throws {
        let authority = try Keys.authority()
        #expect(!authority.hasKeys && authority.usesGeneratedKey)
        authority.replaceKeySet([KeyRing.Entry(Keys.pairs[1].1)])
        #expect(authority.hasKeys && authority.usesGeneratedKey)
        authority.replaceKeySet([])
        try authority.apply(TokenSettings(secrets: [Keys.secret]))
        #expect(authority.hasKeys && !authority.usesGeneratedKey)
    }

    // MARK: Minting

    @Test func `minted tokens are signed by the first secret, else the minting key, else the generated key`() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write(Keys.generated[4].pem, to: "mint.pem")
        let minting = KeyFile(keyID: "m1", algorithm: .edDSA, path: path)
        for (settings, algorithm) in [
            (TokenSettings(secrets: [Keys.secret], mintingKey: minting), .hs256),
            (TokenSettings(mintingKey: minting), .edDSA),
            (TokenSettings(), .es256),
        ] as [(TokenSettings, SignatureAlgorithm)] {
            let authority = try Keys.authority(settings)
            let minted = try authority.mint(
                request(#"{"user":"u1","expires_in":"60s","uses":2,"parley":{"paths":["/v1/ws"]}}"#), now: Keys.now)
            #expect(try self.algorithm(of: minted.token) == algorithm)
            let grant = try grant(authority, minted.token)
            #expect(grant.user == "u1" && grant.uses == 2 && grant.parley.paths == ["/v1/ws"])
            #expect(grant.expiresAt == Keys.now + 60_000 && minted.expiresAt == grant.expiresAt)
            #expect(try authority.mint(request(#"{"user":"u1"}"#), now: Keys.now).token != minted.token)
        }
    }

    @Test func `a generated key that was stored verifies after a restart`() throws {
        let key = try GeneratedTokenKey()
        let minted = try TokenAuthority(TokenSettings(), generated: key).mint(request(#"{"user":"u1"}"#), now: Keys.now)
        let restarted = try TokenAuthority(TokenSettings(), generated: GeneratedTokenKey(keyID: key.keyID, pem: key.pem))
        _ = try grant(restarted, minted.token)
        #expect(try TokenAuthority(TokenSettings(), generated: GeneratedTokenKey()).verify(minted.token, now: Keys.now) == .unknownKey)
    }

    @Test func `minted tokens satisfy issuer, audience and user claim, or minting fails`() throws {
        let rules = TokenRules(issuer: "i", audience: "a", userClaim: "name")
        let authority = try Keys.authority(TokenSettings(rules: rules))
        #expect(try grant(authority, authority.mint(request(#"{"user":"u1"}"#), now: Keys.now).token).user == "u1")
        let odd = try Keys.authority(TokenSettings(rules: TokenRules(userClaim: "exp")))
        #expect(throws: TokenRequest.Fault.self) { try odd.mint(request(#"{"user":"u1"}"#), now: Keys.now) }
        let huge = "{\"user\":\"u1\",\"parley\":{\"x\":\"\(String(repeating: "x", count: 7000))\"}}"
        #expect(throws: TokenRequest.Fault(TokenFault.tooLong.rawValue)) { try authority.mint(request(huge), now: Keys.now) }
    }

    // MARK: Uses and revocation

    @Test func `each use and each revocation is stored, and restored after a restart`() throws {
        let changes = Mutex<[AccountChange]>([])
        let settings = TokenSettings(secrets: [Keys.secret])
        let authority = try TokenAuthority(settings, generated: GeneratedTokenKey()) { change in changes.withLock { $0.append(change) } }
        let token = try authority.mint(request(#"{"user":"u1","expires_in":"60s","uses":1}"#), now: Keys.now).token
        let once = try grant(authority, token)
        #expect(authority.spend(once, now: Keys.now))
        #expect(!authority.spend(once, now: Keys.now))
        authority.refund(once)
        #expect(authority.spend(once, now: Keys.now))
        try authority.revoke("u2", before: Keys.now, now: Keys.now)
        let id = try #require(once.tokenID)
        let stored = changes.withLock { $0 }
        let uses = (1...3).map { TokenUses.Entry(tokenID: id, spent: $0 % 2, until: Keys.now + 90_000) }
        let revocation = Revocations.Entry(user: "u2", before: Keys.now, until: Keys.now + 86_430_000)
        #expect(stored == uses.map { AccountChange.useToken($0) } + [.revoke(revocation)])

        let restarted = try TokenAuthority(settings, generated: GeneratedTokenKey())
        #expect(restarted.restore(uses: [uses[2]], revocations: [revocation], now: Keys.now) == 0)
        #expect(!restarted.spend(once, now: Keys.now))
        let other = try Keys.token(#"{"alg":"HS256"}"#, #"{"sub":"u2","iat":1800000000,"exp":1800000060}"#, key: Keys.pairs[0].0, .hs256)
        #expect(restarted.verify(other, now: Keys.now) == .rejected(.revoked))
        #expect(authority.verify(other, now: Keys.now) == .rejected(.revoked))
    }

    @Test func `a token with any number of uses is never spent`() throws {
        let authority = try Keys.authority(TokenSettings(secrets: [Keys.secret]))
        let grant = try grant(authority, authority.mint(request(#"{"user":"u1"}"#), now: Keys.now).token)
        for _ in 0..<1000 { #expect(authority.spend(grant, now: Keys.now)) }
    }

    @Test func `a revocation ends grants in force, and later tokens are granted`() throws {
        let authority = try Keys.authority(TokenSettings(secrets: [Keys.secret]))
        let token = try authority.mint(request(#"{"user":"u1"}"#), now: Keys.now).token
        let before = try grant(authority, token)
        #expect(!authority.isRevoked(before))
        try authority.revoke("u1", before: Keys.now, now: Keys.now)
        #expect(authority.isRevoked(before))
        #expect(authority.verify(token, now: Keys.now) == .rejected(.revoked))
        let later = try authority.mint(request(#"{"user":"u1"}"#), now: Keys.now + 1000)
        _ = try grant(authority, later.token, now: Keys.now + 1000)
    }
}
