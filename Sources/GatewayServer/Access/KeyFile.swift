// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// A key file of `auth.public_keys` or `auth.minting_key`: `ES256:path.pem`, or `k1@ES256:path.pem` with a `kid` that binds the key.
package struct KeyFile: Sendable, Hashable, CustomStringConvertible {
    /// The algorithms that a key file can be used for.
    package static let algorithms = SignatureAlgorithm.allCases.filter { $0.family != .hmac }

    /// 1 to 256 bytes.
    package var keyID: String?
    /// Any algorithm but HMAC.
    package var algorithm: SignatureAlgorithm
    package var path: String

    package init(keyID: String? = nil, algorithm: SignatureAlgorithm, path: String) {
        self.keyID = keyID
        self.algorithm = algorithm
        self.path = path
    }

    /// Parses the notation; nil if the text doesn't have it.
    package init?(_ text: String) {
        if let (algorithm, path) = Self.parse(text[...]) {
            self.init(algorithm: algorithm, path: path)
            return
        }
        // A `kid` may contain an @ itself.
        for index in text.indices where text[index] == "@" {
            guard let (algorithm, path) = Self.parse(text[text.index(after: index)...]) else { continue }
            guard (1...CompactToken.maximumKeyIDBytes).contains(text[..<index].utf8.count) else { return nil }
            self.init(keyID: String(text[..<index]), algorithm: algorithm, path: path)
            return
        }
        return nil
    }

    package var description: String { "\(keyID.map { $0 + "@" } ?? "")\(algorithm.rawValue):\(path)" }

    private static func parse(_ text: Substring) -> (SignatureAlgorithm, String)? {
        guard let colon = text.firstIndex(of: ":"), let algorithm = SignatureAlgorithm(rawValue: String(text[..<colon])),
            algorithm.family != .hmac
        else { return nil }
        return ConfigurationKey.filePath(String(text[text.index(after: colon)...])).map { (algorithm, $0) }
    }
}
