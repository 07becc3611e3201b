// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The price of an upstream's service: a map of `per_1k_input_tokens`, `per_1k_output_tokens`, `per_audio_minute` and `per_1k_characters`.
package struct UpstreamPrice: Sendable, Hashable, CustomStringConvertible {
    package private(set) var price = Price()

    /// The members of the map, in the order of ``description``.
    private static let members: [(name: String, path: any WritableKeyPath<Price, Double> & Sendable)] = [
        ("per_1k_input_tokens", \.per1kInputTokens), ("per_1k_output_tokens", \.per1kOutputTokens),
        ("per_audio_minute", \.perAudioMinute), ("per_1k_characters", \.per1kCharacters),
    ]
    /// The highest price.
    private static let maximum = 1_000_000_000.0

    package init() {}

    /// Parses a YAML map or JSON object with numbers from 0 to 1000000000; returns nil for any other text.
    package init?(_ text: String) {
        guard let body = UpstreamBody(text) else { return nil }
        for member in body.members {
            guard let known = Self.members.first(where: { $0.name == member.name }),
                let value = ConfigurationNotation.factor(String(decoding: member.json, as: UTF8.self)), value <= Self.maximum
            else { return nil }
            price[keyPath: known.path] = value
        }
    }

    package var description: String {
        let set = Self.members.filter { price[keyPath: $0.path] > 0 }
        return "{" + set.map { "\"\($0.name)\":\(price[keyPath: $0.path])" }.joined(separator: ",") + "}"
    }
}
