// SPDX-License-Identifier: Apache-2.0

package import GatewayRedis

/// An entry of `store.urls`.
package struct StoreURL: Sendable, Hashable, CustomStringConvertible {
    package let url: RedisURL
    /// The URL without user, password and other secrets.
    package let description: String

    /// - Returns: nil if the text isn't the URL of one host. Variables and flags separate the URLs of a list with commas.
    package init?(_ text: String) {
        guard !text.contains(","), let url = try? RedisURL(text) else { return nil }
        self.url = url
        description = URLCredentials.masked(text)
    }
}
