// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import GatewayServer
import GatewayTLS
import Support
import Testing

/// Tokens exchanged with PyJWT and cryptography, in both directions.
@Suite(.serialized) struct TokenInteroperabilityTests {
    /// Makes a key and a token for each algorithm, one line each: algorithm, private key, public key, JSON Web Key, token.
    private static let issue = """
        # SPDX-License-Identifier: Apache-2.0
        import base64, json, jwt
        from jwt.algorithms import get_default_algorithms
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, ed448, rsa
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
        rsa_key = rsa.generate_private_key(65537, 2048)
        keys = {name: rsa_key for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")}
        keys |= {"ES256": ec.generate_private_key(ec.SECP256R1()), "ES384": ec.generate_private_key(ec.SECP384R1()),
                 "ES512": ec.generate_private_key(ec.SECP521R1())}
        pairs = list(keys.items()) + [("EdDSA", ed25519.Ed25519PrivateKey.generate()), ("EdDSA", ed448.Ed448PrivateKey.generate())]
        for name, key in pairs:
            private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            jwk = get_default_algorithms()[name].to_jwk(key.public_key())
            token = jwt.encode({"sub": "u1", "iat": 1800000000, "exp": 1800000060, "aud": ["x", "parley"], "parley": {"types": ["text"]}}, key,
                               algorithm=name, headers={"kid": "k-" + name})
            print(name, *(base64.b64encode(part).decode() for part in (private, public, jwk.encode())), token, sep="\\t")
        """

    /// Verifies the tokens of a file, one line each: algorithm, public key in base64, token. Prints the users.
    private static let check = """
        # SPDX-License-Identifier: Apache-2.0
        import base64, jwt, sys
        for line in open(sys.argv[1]):
            name, key, token = line.rstrip("\\n").split("\\t")
            claims = jwt.decode(token, base64.b64decode(key), algorithms=[name], options={"verify_exp": False, "verify_iat": False})
            print(name, claims["sub"], claims["exp"], claims["parley"]["uses"], len(claims["jti"]))
        """

    private struct Issued {
        var algorithm: SignatureAlgorithm
        var privatePEM: String
        var publicPEM: String
        var members: [String: String]
        var token: String
    }

    private func run(_ script: String, _ arguments: [String] = [], in directory: TemporaryDirectory) async throws -> [String] {
        let path = try directory.write(script, to: "peer.py")
        let (status, lines, errors) = try await ChildProcess.run(try Python.path(), [path] + arguments, directory: directory.path)
        guard status == 0 else { throw TestFailure("the peer failed: \(errors.suffix(3))") }
        return lines
    }

    private func issued(in directory: TemporaryDirectory) async throws -> [Issued] {
        try await run(Self.issue, in: directory).map { line in
            let fields = line.split(separator: "\t").map(String.init)
            let texts = try fields[1...3].map { try #require(Data(base64Encoded: $0)) }
            let members = try #require(JSONSerialization.jsonObject(with: texts[2]) as? [String: Any])
            return Issued(
                algorithm: try #require(SignatureAlgorithm(rawValue: fields[0])), privatePEM: String(decoding: texts[0], as: UTF8.self),
                publicPEM: String(decoding: texts[1], as: UTF8.self), members: members.compactMapValues { $0 as? String }, token: fields[4])
        }
    }

    /// Returns the key of a JSON Web Key's members.
    private func key(_ members: [String: String], _ algorithm: SignatureAlgorithm) throws -> SignatureKey {
        func bytes(_ name: String) throws -> [UInt8] {
            let text = try #require(members[name])
            return try #require(Base64URL.decode(Array(text.utf8)))
        }
        let parameters: PublicKeyParameters
        switch members["kty"] {
        case "RSA": parameters = .rsa(modulus: try bytes("n"), exponent: try bytes("e"))
        case "EC":
            let curve = try #require(members["crv"].flatMap { EllipticCurve(rawValue: $0) })
            parameters = .elliptic(curve, x: try bytes("x"), y: try bytes("y"))
        default:
            let curve = try #require(members["crv"].flatMap { EdwardsCurve(rawValue: $0) })
            parameters = .edwards(curve, x: try bytes("x"))
        }
        return try SignatureKey(parameters, algorithm: algorithm)
    }

    @Test func `tokens of an independent library are granted, with its keys as PEM and as JSON Web Keys`() async throws {
        let directory = try TemporaryDirectory()
        let all = try await issued(in: directory)
        #expect(all.count == 11)
        for issued in all {
            let pem = try SignatureKey(publicKeyPEM: Array(issued.publicPEM.utf8), algorithm: issued.algorithm)
            for key in [pem, try key(issued.members, issued.algorithm)] {
                let authority = try TokenTestKeys.authority(
                    TokenSettings(rules: TokenRules(audience: "parley")),
                    keys: [KeyRing.Entry(keyID: "k-\(issued.algorithm.rawValue)", key)])
                guard case .granted(let grant) = authority.verify(issued.token, now: TokenTestKeys.now) else {
                    Issue.record("\(issued.algorithm): \(authority.verify(issued.token, now: TokenTestKeys.now))")
                    continue
                }
                #expect(grant.user == "u1" && grant.expiresAt == 1_800_000_060_000 && grant.parley.types == [.text])
            }
        }
    }

    @Test func `an independent library verifies minted tokens of every algorithm`() async throws {
        let directory = try TemporaryDirectory()
        var lines: [String] = []
        let request = try TokenRequest(json: Array(#"{"user":"u1","expires_in":"60s","uses":7}"#.utf8))
        for (index, issued) in try await issued(in: directory).enumerated() {
            let path = try directory.write(issued.privatePEM, to: "key\(index).pem")
            let authority = try TokenTestKeys.authority(
                TokenSettings(mintingKey: KeyFile(keyID: "m", algorithm: issued.algorithm, path: path)))
            let minted = try authority.mint(request, now: TokenTestKeys.now)
            lines.append(
                [issued.algorithm.rawValue, Data(issued.publicPEM.utf8).base64EncodedString(), minted.token].joined(separator: "\t"))
        }
        let minted = try TokenTestKeys.authority(TokenSettings(secrets: [TokenTestKeys.secret])).mint(request, now: TokenTestKeys.now)
        lines.append(["HS256", Data(TokenTestKeys.secret.utf8).base64EncodedString(), minted.token].joined(separator: "\t"))
        let path = try directory.write(lines.joined(separator: "\n"), to: "tokens")
        let users = try await run(Self.check, [path], in: directory)
        #expect(users == lines.map { "\($0.prefix { $0 != "\t" }) u1 1800000060 7 22" })
    }
}
