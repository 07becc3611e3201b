// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import Support
import Testing

@Suite struct SignatureKeyTests {
    private func decoded(_ text: String) throws -> [UInt8] { try #require(Base64URL.decode(Array(text.utf8))) }

    /// Returns whether the key verifies a token's signature by the algorithm.
    private func verifies(_ key: SignatureKey, _ algorithm: SignatureAlgorithm, _ token: String) throws -> Bool {
        let parts = token.split(separator: ".").map { String($0) }
        return key.verify(algorithm, signature: try decoded(parts[2]), over: Array("\(parts[0]).\(parts[1])".utf8)[...])
    }

    // MARK: Test vectors

    private static let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

    @Test func `RFC 7515 appendix A.1: HS256`() throws {
        let secret = try decoded("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
        let key = try SignatureKey(secret: secret)
        let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\(Self.payload)"
        let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        #expect(try verifies(key, .hs256, "\(signed).\(signature)"))
        #expect(String(decoding: Base64URL.encode(try key.sign(.hs256, Array(signed.utf8)[...])), as: UTF8.self) == signature)
    }

    @Test func `RFC 7515 appendix A.2: RS256`() throws {
        let modulus =
            "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOW"
            + "vG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9k"
            + "G4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
        let signature =
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"
            + "BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
            + "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
        let key = try SignatureKey(.rsa(modulus: decoded(modulus), exponent: decoded("AQAB")), algorithm: nil)
        #expect(key.algorithms == [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512])
        let token = "eyJhbGciOiJSUzI1NiJ9.\(Self.payload).\(signature)"
        #expect(try verifies(key, .rs256, token))
        for algorithm in SignatureAlgorithm.allCases where algorithm != .rs256 { #expect(try !verifies(key, algorithm, token)) }
    }

    @Test func `RFC 7515 appendix A.3: ES256`() throws {
        let key = try SignatureKey(
            .elliptic(
                .p256, x: decoded("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"), y: decoded("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")),
            algorithm: nil)
        #expect(key.algorithms == [.es256] && !key.isPrivate)
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
        #expect(try verifies(key, .es256, "eyJhbGciOiJFUzI1NiJ9.\(Self.payload).\(signature)"))
        #expect(try !verifies(key, .es256, "eyJhbGciOiJFUzI1NiK9.\(Self.payload).\(signature)"))
    }

    @Test func `RFC 7515 appendix A.4: ES512`() throws {
        let key = try SignatureKey(
            .elliptic(
                .p521, x: decoded("AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk"),
                y: decoded("ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2")),
            algorithm: .es512)
        let signature =
            "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8Kp"
            + "EHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"
        #expect(try verifies(key, .es512, "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.\(signature)"))
    }

    @Test func `RFC 8037 appendix A.4: EdDSA`() throws {
        let key = try SignatureKey(.edwards(.ed25519, x: decoded("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")), algorithm: nil)
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        #expect(try verifies(key, .edDSA, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\(signature)"))
    }

    // MARK: All algorithms

    @Test func `every algorithm verifies its own signatures, and no other algorithm's`() throws {
        let message = Array("header.payload".utf8)[...]
        for (key, peer) in TokenTestKeys.pairs {
            for algorithm in key.algorithms {
                let signature = try key.sign(algorithm, message)
                #expect(peer.verify(algorithm, signature: signature, over: message), "\(algorithm)")
                #expect(!peer.verify(algorithm, signature: signature, over: Array("header.payloae".utf8)[...]))
                for other in SignatureAlgorithm.allCases where other != algorithm {
                    #expect(!peer.verify(other, signature: signature, over: message), "\(algorithm) as \(other)")
                }
                for (_, stranger) in TokenTestKeys.pairs where stranger !== peer {
                    #expect(!stranger.verify(algorithm, signature: signature, over: message))
                }
            }
        }
    }

    @Test func `a truncated, extended or changed signature is invalid`() throws {
        let message = Array("header.payload".utf8)[...]
        for (key, peer) in TokenTestKeys.pairs {
            for algorithm in key.algorithms {
                let signature = try key.sign(algorithm, message)
                for changed in changes(of: signature) {
                    #expect(!peer.verify(algorithm, signature: changed, over: message), "\(algorithm), \(changed.count) bytes")
                }
            }
        }
    }

    private func changes(of signature: [UInt8]) -> [[UInt8]] {
        var (first, last) = (signature, signature)
        first[0] ^= 1
        last[last.count - 1] ^= 1
        let count = signature.count
        return [
            [], Array(signature.dropLast()), Array(signature.dropFirst()), signature + [0], [0] + signature, signature + signature, first,
            last,
            [UInt8](repeating: 0, count: count), [UInt8](repeating: 0xFF, count: count),
        ]
    }

    @Test func `a public key can't sign`() throws {
        for (key, peer) in TokenTestKeys.pairs where key !== peer {
            #expect(throws: SignatureKeyFault.self) { try peer.sign(peer.algorithms[0], [1][...]) }
        }
    }

    // MARK: ECDSA

    @Test func `a signature in DER, and one whose halves are zero or out of range, are invalid`() throws {
        let message = Array("header.payload".utf8)[...]
        let (key, _) = try SignatureKey.generate()
        let signature = try key.sign(.es256, message)
        #expect(signature.count == 64)
        let (r, s) = (Array(signature[..<32]), Array(signature[32...]))
        #expect(!key.verify(.es256, signature: der(r, s), over: message))
        // The order of P-256 (SEC 2 §2.4.2).
        let order: [UInt8] = [
            0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E,
            0x84, 0xF3,
            0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
        ]
        let zero = [UInt8](repeating: 0, count: 32)
        let one = [UInt8](repeating: 0, count: 31) + [1]
        for half in [zero, order, one, [UInt8](repeating: 0xFF, count: 32)] {
            for changed in [r + half, half + s, half + half] { #expect(!key.verify(.es256, signature: changed, over: message)) }
        }
        #expect(!key.verify(.es256, signature: s + r, over: message))
    }

    private func der(_ r: [UInt8], _ s: [UInt8]) -> [UInt8] {
        func integer(_ bytes: [UInt8]) -> [UInt8] {
            let trimmed = Array(bytes.drop { $0 == 0 })
            let value = (trimmed.first ?? 0) >= 0x80 ? [0] + trimmed : trimmed
            return [2, UInt8(value.count)] + value
        }
        let content = integer(r) + integer(s)
        return [0x30, UInt8(content.count)] + content
    }

    // MARK: Loading

    @Test func `a key is bound to the algorithms of its kind and curve`() throws {
        for (kind, algorithm) in [
            (.p256, .es256), (.p384, .es384), (.p521, .es512), (.ed25519, .edDSA), (.ed448, .edDSA),
            (.rsa, .ps384),
        ] as [(GeneratedKey.Kind, SignatureAlgorithm)] {
            let generated = try GeneratedKey(kind)
            let pem = Array(try #require(generated.publicPEM).utf8)
            #expect(try SignatureKey(publicKeyPEM: pem, algorithm: algorithm).algorithms == [algorithm])
            for other in SignatureAlgorithm.allCases where other.family != algorithm.family || other.family == .ecdsa && other != algorithm
            {
                #expect(throws: SignatureKeyFault(.wrongAlgorithm(other))) { try SignatureKey(publicKeyPEM: pem, algorithm: other) }
            }
            #expect(throws: SignatureKeyFault(.privateKey)) {
                try SignatureKey(publicKeyPEM: Array(generated.pem.utf8), algorithm: algorithm)
            }
            #expect(try SignatureKey(privateKeyPEM: Array(generated.pem.utf8), algorithm: algorithm).isPrivate)
            #expect(throws: SignatureKeyFault.self) { try SignatureKey(privateKeyPEM: pem, algorithm: algorithm) }
        }
    }

    @Test func `a secret has at least 32 bytes`() throws {
        #expect(throws: SignatureKeyFault(.shortSecret)) { try SignatureKey(secret: [UInt8](repeating: 1, count: 31)) }
        #expect(try SignatureKey(secret: [UInt8](repeating: 1, count: 32)).algorithms == [.hs256, .hs384, .hs512])
    }

    @Test func `points off the curve, coordinates of the wrong size and the point at infinity are rejected`() throws {
        let x = try decoded("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")
        let y = try decoded("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
        let zero = [UInt8](repeating: 0, count: 32)
        for (x, y) in [
            (x, x), (y, x), (x, y.reversed()), (zero, zero), ([0] + x, y), (Array(x.dropLast()), y), ([], []),
            ([UInt8](repeating: 0xFF, count: 32), y),
        ] {
            #expect(throws: SignatureKeyFault(.invalidPoint)) { try SignatureKey(.elliptic(.p256, x: x, y: y), algorithm: nil) }
        }
        #expect(throws: SignatureKeyFault(.invalidPoint)) { try SignatureKey(.elliptic(.p384, x: x, y: y), algorithm: nil) }
        #expect(throws: SignatureKeyFault(.invalidPoint)) { try SignatureKey(.edwards(.ed448, x: x), algorithm: nil) }
        #expect(throws: SignatureKeyFault(.invalidPoint)) { try SignatureKey(.edwards(.ed25519, x: x + [0]), algorithm: nil) }
        #expect(throws: SignatureKeyFault(.wrongAlgorithm(.es384))) { try SignatureKey(.elliptic(.p256, x: x, y: y), algorithm: .es384) }
    }

    @Test func `an RSA modulus has 2048 to 16384 bits, and the exponent is odd and at least 3`() throws {
        func key(bits: Int, exponent: [UInt8] = [1, 0, 1], last: UInt8 = 1) -> SignatureKeyFault.Reason? {
            var modulus = [UInt8](repeating: 0xA5, count: (bits + 7) / 8)
            modulus[0] = UInt8(1 << ((bits - 1) % 8))
            modulus[modulus.count - 1] = last
            do throws(SignatureKeyFault) {
                _ = try SignatureKey(.rsa(modulus: modulus, exponent: exponent), algorithm: nil)
                return nil
            } catch {
                return error.reason
            }
        }
        #expect(key(bits: 2048) == nil)
        #expect(key(bits: 16384) == nil)
        for bits in [512, 1024, 2047, 16385] { #expect(key(bits: bits) == .invalidModulus) }
        #expect(key(bits: 2048, last: 2) == .invalidModulus)
        #expect(key(bits: 2048, exponent: [3]) == nil)
        for exponent: [UInt8] in [[], [0], [1], [2], [1, 0, 0], [UInt8](repeating: 0xFF, count: 9)] {
            #expect(key(bits: 2048, exponent: exponent) != nil)
        }
    }

    @Test func `an unsupported curve and a file without a key are rejected`() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("nothing", to: "key.pem")
        #expect(throws: SignatureKeyFault(path: path, .notAPublicKey)) { try SignatureKey(publicKeyFile: path, algorithm: .es256) }
        #expect(throws: SignatureKeyFault.self) { try SignatureKey(publicKeyFile: path + "x", algorithm: .es256) }
        #expect(throws: SignatureKeyFault(path: path, .file(.notAKey))) { try SignatureKey(privateKeyFile: path, algorithm: .es256) }
        // A public key on secp256k1, which ES256K would use.
        let pem = """
            -----BEGIN PUBLIC KEY-----
            MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEnjK/cavy/CaV7B0zX1LyGLbd+5BWQotj
            Az0UQ50yWl12/Y/uJ82JkblwNSBPoCUlGudAbm8DZ9McF3ZZhry8cg==
            -----END PUBLIC KEY-----
            """
        #expect(throws: SignatureKeyFault(.unsupportedKind)) { try SignatureKey(publicKeyPEM: Array(pem.utf8), algorithm: .es256) }
    }

    @Test func `the key of a certificate is accepted as a public key`() throws {
        let generated = try GeneratedKey(.p256)
        let certificate = try GeneratedCertificate(.init(names: ["issuer"], notBefore: 0, notAfter: 4_000_000_000), key: generated)
        let key = try SignatureKey(publicKeyPEM: Array(certificate.pem.utf8), algorithm: .es256)
        let signer = try SignatureKey(privateKeyPEM: Array(generated.pem.utf8), algorithm: nil)
        #expect(key.verify(.es256, signature: try signer.sign(.es256, [1, 2][...]), over: [1, 2][...]))
    }
}
