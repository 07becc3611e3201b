// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import GatewayTLS
import Testing

/// Attacks on tokens, by the kinds of Wycheproof's JWS and JWT vectors.
@Suite struct TokenAttackTests {
    private typealias Keys = TokenTestKeys

    /// Returns whether any of the keys lets the token in.
    private func isGranted(_ token: String, _ keys: [KeyRing.Entry]) throws -> Bool {
        if case .granted = try Keys.authority(keys: keys).verify(token, now: Keys.now) { true } else { false }
    }

    private var allKeys: [KeyRing.Entry] { Keys.pairs.map { KeyRing.Entry($0.1) } }

    @Test func `every algorithm's valid token is granted`() throws {
        #expect(Keys.pairs.count == Keys.kinds.count + 1)
        for (signer, verifier) in Keys.pairs {
            for algorithm in signer.algorithms {
                let token = try Keys.token("{\"alg\":\"\(algorithm.rawValue)\"}", key: signer, algorithm)
                #expect(try isGranted(token, allKeys), "\(algorithm)")
                #expect(try isGranted(token, [KeyRing.Entry(verifier)]))
            }
        }
    }

    @Test func `a token signed by one algorithm and labelled with another is rejected in every direction`() throws {
        for (signer, _) in Keys.pairs {
            for algorithm in signer.algorithms {
                for label in SignatureAlgorithm.allCases where label != algorithm {
                    let token = try Keys.token("{\"alg\":\"\(label.rawValue)\"}", key: signer, algorithm)
                    #expect(try !isGranted(token, allKeys), "\(algorithm) labelled \(label)")
                }
            }
        }
    }

    @Test func `a public key as HMAC secret is rejected in every encoding`() throws {
        for key in Keys.generated {
            let pem = try #require(key.publicPEM)
            let body = pem.split(separator: "\n").dropFirst().dropLast().joined()
            for secret in [pem, String(pem.dropLast()), body, pem.replacing("\n", with: "\r\n")] {
                let forger = try SignatureKey(secret: Array(secret.utf8))
                for algorithm in forger.algorithms {
                    let token = try Keys.token("{\"alg\":\"\(algorithm.rawValue)\"}", key: forger, algorithm)
                    #expect(try !isGranted(token, allKeys))
                }
            }
        }
    }

    @Test func `a key that is bound to one RSA algorithm accepts no other`() throws {
        let pem = try #require(Keys.generated[0].publicPEM)
        let signer = Keys.pairs[1].0
        for bound in SignatureAlgorithm.all(of: .rsa) {
            let key = KeyRing.Entry(try SignatureKey(publicKeyPEM: Array(pem.utf8), algorithm: bound))
            for algorithm in signer.algorithms {
                let token = try Keys.token("{\"alg\":\"\(algorithm.rawValue)\"}", key: signer, algorithm)
                #expect(try isGranted(token, [key]) == (algorithm == bound))
            }
        }
    }

    @Test(arguments: ["none", "None", "NONE", "nOnE", "NoNe", "none ", "\\u006eone", ""])
    func `an unsigned token is rejected in all spellings`(name: String) throws {
        func part(_ text: String) -> String { String(decoding: Base64URL.encode(Array(text.utf8)), as: UTF8.self) }
        let head = part("{\"alg\":\"\(name)\"}") + "." + part(Keys.claims)
        for token in [head, head + ".", head + "..", head + ".AAAA"] { #expect(try !isGranted(token, allKeys)) }
        // The signature of a valid token doesn't help.
        let token = try Keys.token("{\"alg\":\"\(name)\"}", key: Keys.pairs[0].0, .hs256)
        #expect(try !isGranted(token, allKeys))
    }

    @Test func `a changed header, claim or signature is rejected`() throws {
        for (signer, verifier) in Keys.pairs {
            let algorithm = signer.algorithms[0]
            let token = Array(try Keys.token("{\"alg\":\"\(algorithm.rawValue)\"}", key: signer, algorithm).utf8)
            for offset in stride(from: 0, to: token.count, by: 7) {
                var changed = token
                changed[offset] = changed[offset] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
                #expect(try !isGranted(String(decoding: changed, as: UTF8.self), [KeyRing.Entry(verifier)]), "\(algorithm) at \(offset)")
            }
            #expect(try !isGranted(String(decoding: token.dropLast(4), as: UTF8.self), [KeyRing.Entry(verifier)]))
            #expect(try !isGranted(String(decoding: token + Array("AAAA".utf8), as: UTF8.self), [KeyRing.Entry(verifier)]))
        }
    }

    @Test(arguments: [
        "../../../../dev/null", "/etc/passwd", "file:///proc/self/environ", "k1' OR '1'='1", "k1'; DROP TABLE keys; --", "k1\\u0000",
        "\\u0000k1", "K1",
        " k1", "k1 ", "k1/../k1", "%6b1", "http://attacker.example/k1",
    ])
    func `kid is compared and nothing else`(kid: String) throws {
        let (signer, verifier) = try #require(Keys.pair(for: .es256))
        let keys = [KeyRing.Entry(keyID: "k1", verifier)]
        #expect(try !isGranted(Keys.token("{\"alg\":\"ES256\",\"kid\":\"\(kid)\"}", key: signer, .es256), keys))
        #expect(try isGranted(Keys.token(#"{"alg":"ES256","kid":"k1"}"#, key: signer, .es256), keys))
        #expect(try isGranted(Keys.token(#"{"alg":"ES256","kid":"\u006b1"}"#, key: signer, .es256), keys))
        #expect(try isGranted(Keys.token(#"{"alg":"ES256"}"#, key: signer, .es256), keys))
    }

    @Test func `a kid of 10 KB makes the token too long, and one over 256 bytes is rejected`() throws {
        let authority = try Keys.authority(keys: allKeys)
        for (count, fault) in [(10_000, .tooLong), (5000, .invalidKeyID), (257, .invalidKeyID)] as [(Int, TokenFault)] {
            let token = try Keys.token(
                "{\"alg\":\"HS256\",\"kid\":\"\(String(repeating: "k", count: count))\"}", key: Keys.pairs[0].0, .hs256)
            #expect(authority.verify(token, now: Keys.now) == .rejected(fault))
        }
    }

    @Test func `the key of another kid isn't used, also with the same algorithm`() throws {
        let (first, second) = (try GeneratedTokenKey().signer.key, try GeneratedTokenKey().signer.key)
        let keys = [KeyRing.Entry(keyID: "a", first), KeyRing.Entry(keyID: "b", second)]
        #expect(try isGranted(Keys.token(#"{"alg":"ES256","kid":"a"}"#, key: first, .es256), keys))
        #expect(try !isGranted(Keys.token(#"{"alg":"ES256","kid":"b"}"#, key: first, .es256), keys))
    }

    @Test func `embedded keys and references to keys are rejected, though they made the signature`() throws {
        let forger = try GeneratedTokenKey().signer.key
        for member in [
            #""jwk":{"kty":"EC"}"#, #""jku":"https://attacker.example/keys""#, #""x5u":"https://attacker.example""#, #""x5c":["MII"]"#,
        ] {
            let token = try Keys.token("{\"alg\":\"ES256\",\(member)}", key: forger, .es256)
            #expect(try Keys.authority(keys: [KeyRing.Entry(forger)]).verify(token, now: Keys.now) == .rejected(.forbiddenMember))
        }
    }

    @Test func `a signed token with crit, or with numbers as strings, is rejected`() throws {
        let (signer, verifier) = Keys.pairs[0]
        let authority = try Keys.authority(keys: [KeyRing.Entry(verifier)])
        func outcome(_ header: String, _ claims: String = Keys.claims) throws -> TokenAuthority.Outcome {
            authority.verify(try Keys.token(header, claims, key: signer, .hs256), now: Keys.now)
        }
        #expect(try outcome(#"{"alg":"HS256","crit":["exp"]}"#) == .rejected(.forbiddenMember))
        #expect(try outcome(#"{"alg":"HS256"}"#, #"{"sub":"u1","exp":"1800000060"}"#) == .rejected(.invalidTime))
        #expect(try outcome(#"{"alg":"HS256"}"#, #"{"sub":"u1","sub":"u2","exp":1800000060}"#) == .rejected(.duplicateMember))
        #expect(try outcome(#"{"alg":"HS256"}"#, "[]") == .rejected(.invalidJSON))
        let inner = try Keys.token(#"{"alg":"HS256"}"#, key: signer, .hs256)
        #expect(try outcome(#"{"alg":"HS256","typ":"JWT"}"#, inner) == .rejected(.invalidJSON))
        #expect(try outcome(#"{"alg":"HS256","cty":"JWT"}"#, inner) == .rejected(.forbiddenMember))
    }

    @Test func `an encrypted token of five parts is malformed`() throws {
        #expect(try Keys.authority(keys: allKeys).verify("eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA", now: Keys.now) == .rejected(.malformed))
    }
}
