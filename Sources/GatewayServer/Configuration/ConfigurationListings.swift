// SPDX-License-Identifier: Apache-2.0

import Foundation

extension LoadedConfiguration {
    /// The configuration as one JSON object: `environment`, `files`, `warnings`, and under `keys` each key with its `value` (null if there
    /// is none, a list of texts for a list, else a text) and its `source`.
    package var json: String {
        get throws {
            struct Entry: Encodable {
                var value: Value
                var source: String
            }
            enum Value: Encodable {
                case none
                case text(String)
                case list([String])

                func encode(to encoder: any Encoder) throws {
                    var container = encoder.singleValueContainer()
                    switch self {
                    case .none: try container.encodeNil()
                    case .text(let text): try container.encode(text)
                    case .list(let texts): try container.encode(texts)
                    }
                }
            }
            struct Document: Encodable {
                var environment: String
                var files: [String]
                var warnings: [String]
                var keys: [String: Entry]
            }
            var keys: [String: Entry] = [:]
            for origin in origins where origin.key != "environment" {
                guard let key = ConfigurationKey.named(origin.key) else { continue }
                let value: Value =
                    if let entries = key.entries(configuration), !key.isSecret || entries.isEmpty {
                        .list(entries)
                    } else {
                        key.text(configuration) == nil ? .none : .text(key.shown(in: configuration))
                    }
                keys[origin.key] = Entry(value: value, source: origin.source)
            }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            let document = Document(
                environment: configuration.environment.rawValue, files: files.map(\.path), warnings: warnings, keys: keys)
            return String(decoding: try encoder.encode(document), as: UTF8.self)
        }
    }
}

extension ConfigurationKey {
    /// Lists every key whose name begins with `prefix`: meaning, bounds and defaults, with `<name>` for the name of a block.
    package static func listing(prefix: String) -> String {
        let blocks = blockGroups.flatMap { Block(group: $0, name: "name").keys }
        return (all + blocks).map { ($0, $0.block.map { "\($0.group).<name>" } ?? "") }
            .map { key, group in (key, group.isEmpty ? key.name : "\(group).\(key.components.last ?? "")") }
            .filter { key, name in name.hasPrefix(prefix) || key.name.hasPrefix(prefix) }
            .map { key, name in
                """
                \(name)\(key.isReloadable ? " *" : "")
                    \(key.meaning)
                    Allowed: \(key.allowed).
                    Default: \(key.defaults).
                """
            }
            .joined(separator: "\n\n")
    }

    /// The defaults in all environments: `20 (development 0)`.
    var defaults: String {
        let common = text(GatewayConfiguration()) ?? "none"
        let others = DeploymentEnvironment.allCases.compactMap { environment -> String? in
            let value = text(.defaults(for: environment)) ?? "none"
            return value == common ? nil : "\(environment.rawValue) \(value)"
        }
        return (common.isEmpty ? "empty" : common) + (others.isEmpty ? "" : " (\(others.joined(separator: ", ")))")
    }
}
