// SPDX-License-Identifier: Apache-2.0

import GatewayTLS

/// A file that a listener serves, which is part of the executable.
package struct StaticAsset: Sendable {
    package let path: String
    package let contentType: String
    package let body: [UInt8]
    /// An entity tag (RFC 9110 §8.8.3), with its quotes. It changes with the content.
    package let entityTag: String

    init(_ path: String, contentType: String, body: [UInt8]) {
        self.path = path
        self.contentType = contentType
        self.body = body
        let words = SHA256.hash(body).words
        entityTag = "\"" + String(words.0, radix: 16) + String(words.1, radix: 16) + "\""
    }

    static let html = "text/html; charset=utf-8"
    static let css = "text/css; charset=utf-8"
    static let javaScript = "text/javascript; charset=utf-8"

    /// Returns whether a client that sent this field `If-None-Match` (RFC 9110 §13.1.2) has the content.
    func isKnown(_ field: String?) -> Bool {
        (field ?? "").split(separator: ",").contains { entry in
            let tag = entry.drop { $0 == " " }.prefix { $0 != " " }
            return tag == entityTag[...] || tag == "W/" + entityTag || tag == "*"
        }
    }
}
