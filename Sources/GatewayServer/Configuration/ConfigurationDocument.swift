// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// The configuration of a gateway as `parley config print --json` and `GET /v1/gateway/configuration` return it.
package struct ConfigurationDocument: Sendable, Decodable {
    package struct Entry: Sendable, Decodable {
        /// The value as it is written in a file; masked if it is a secret, nil if there is none.
        package let value: String?
        package let source: String

        enum CodingKeys: CodingKey { case value, source }

        package init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            source = try container.decode(String.self, forKey: .source)
            if let list = try? container.decode([String].self, forKey: .value) {
                value = "[" + list.joined(separator: ", ") + "]"
            } else {
                value = try container.decodeIfPresent(String.self, forKey: .value)
            }
        }
    }

    /// A key whose value differs between a running gateway and the local files.
    package struct Difference: Sendable, Hashable, CustomStringConvertible {
        package var key: String
        package var running: String
        package var local: String
        /// The source of the local value.
        package var source: String
        package var isReloadable: Bool

        /// `limits.text_per_minute: 600 -> 7 (config/gateway.yaml:3)  [reload]`.
        package var description: String { "\(key): \(running) -> \(local) (\(source))  [\(isReloadable ? "reload" : "restart")]" }
    }

    package let environment: String
    package let keys: [String: Entry]

    /// Parses the JSON document.
    package init(json: [UInt8]) throws {
        self = try JSONDecoder().decode(ConfigurationDocument.self, from: Data(json))
    }

    /// Returns the keys whose values differ, sorted by name. Secrets are masked on both sides, so a changed secret isn't found.
    package func differences(to local: ConfigurationDocument) -> [Difference] {
        var found: [Difference] = []
        if environment != local.environment {
            found.append(
                Difference(
                    key: "environment", running: environment, local: local.environment, source: "--environment or PARLEY_ENVIRONMENT",
                    isReloadable: false))
        }
        for name in Set(keys.keys).union(local.keys.keys).sorted() where keys[name]?.value != local.keys[name]?.value {
            found.append(
                Difference(
                    key: name, running: keys[name]?.value ?? "(none)", local: local.keys[name]?.value ?? "(none)",
                    source: local.keys[name]?.source ?? "default", isReloadable: ConfigurationKey.named(name)?.isReloadable ?? false))
        }
        return found
    }
}
