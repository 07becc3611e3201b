// SPDX-License-Identifier: Apache-2.0

import GatewayTLS

/// A Lua script, which is evaluated by its digest (EVALSHA). The client loads the script into servers that don't have it.
package struct RedisScript: Sendable, Hashable {
    package let source: String
    /// SHA-1 of the source in lowercase hexadecimal digits.
    package let digest: String

    package init(_ source: String) {
        self.source = source
        let digits = Array("0123456789abcdef".utf8)
        digest = String(decoding: SHA1.hash(Array(source.utf8)).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    package static func == (left: Self, right: Self) -> Bool { left.digest == right.digest }

    package func hash(into hasher: inout Hasher) { hasher.combine(digest) }
}
