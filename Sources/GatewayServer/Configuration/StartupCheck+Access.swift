// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import GatewayTLS

/// The keys that verify and sign tokens, and the permissions of files with secrets.
extension StartupCheck {
    mutating func checkTokenKeys() {
        let auth = loaded.configuration.auth
        for file in auth.publicKeys {
            checkTokenKey("auth.public_keys", file) { algorithm throws(SignatureKeyFault) in
                _ = try SignatureKey(publicKeyFile: file.path, algorithm: algorithm)
            }
        }
        if let file = auth.mintingKey {
            checkTokenKey("auth.minting_key", file) { algorithm throws(SignatureKeyFault) in
                _ = try SignatureKey(privateKeyFile: file.path, algorithm: algorithm)
            }
        }
        if let path = auth.jwksFile { checkKeySet(path) }
        if let path = auth.jwksCA {
            do throws(TLSConfigurationError) {
                _ = try TLSClientContext(verify: .authority(path: path), serverName: nil)
            } catch {
                for problem in error.problems { reject("auth.jwks_ca", problem) }
            }
        }
    }

    private mutating func checkTokenKey(
        _ key: String, _ file: KeyFile, read: (SignatureAlgorithm) throws(SignatureKeyFault) -> Void
    ) {
        do throws(SignatureKeyFault) {
            try read(file.algorithm)
        } catch {
            reject(key, file.path, allowed: "files of keys that fit their algorithm", hint: error.reason.text)
        }
    }

    private mutating func checkKeySet(_ path: String) {
        func reject(_ hint: String) {
            self.reject("auth.jwks_file", path, allowed: "a JWK set (RFC 7517), at most 1 MiB", hint: hint)
        }
        switch BoundedFile.read(path, limit: JWKSet.maximumBytes) {
        case .missing: reject("there is no such file")
        case .unreadable(let reason): reject(reason)
        case .bytes(let bytes):
            do throws(JWKSetError) { _ = try JWKSetKeys(bytes) } catch { reject("\(error)") }
        }
    }

    /// Warns about files with secrets that every user of the machine can read. Development has no secrets worth it.
    mutating func checkSecretFiles() {
        let configuration = loaded.configuration
        guard configuration.environment != .development else { return }
        var files = loaded.secretFiles.map { (path: $0, content: "a secret") }
        files += (configuration.tls.certificates + configuration.operations.certificates).map { ($0.key, "a private key") }
        files += configuration.upstreams.values.compactMap(\.clientCertificate).map { ($0.key, "a private key") }
        if let file = configuration.auth.mintingKey { files.append((file.path, "a private key")) }
        if let file = configuration.cluster.key { files.append((file, "a private key")) }
        let secrets = loaded.origins.filter { ConfigurationKey.named($0.key)?.isSecret == true }
        for file in loaded.files where secrets.contains(where: { $0.source.hasPrefix(file.path + ":") }) {
            files.append((file.path, "a secret"))
        }
        var seen: Set<String> = []
        for (path, content) in files where seen.insert(path).inserted && FileMode(of: path)?.isReadableByOthers == true {
            warn("\(path): the file contains \(content) and is readable by all users; example: chmod o-rwx \(path)")
        }
    }
}
