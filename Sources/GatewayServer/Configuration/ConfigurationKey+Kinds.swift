// SPDX-License-Identifier: Apache-2.0

extension ConfigurationKey {
    /// The path of a value in the configuration.
    typealias ValuePath<Value> = any WritableKeyPath<GatewayConfiguration, Value> & Sendable

    /// The longest duration: ten years, short enough that no clock arithmetic overflows.
    static let maximumDuration = Duration.seconds(3650 * 86_400)
    /// The shortest duration other than zero.
    static let minimumDuration = Duration.milliseconds(100)
    /// The largest count or rate.
    static let maximumCount = 1_000_000_000
    /// The largest size, in bytes.
    static let maximumSize = 1_000_000_000_000

    /// Creates the key of a duration from `minimum` to 3650d; also 0 if `zero` states its meaning.
    static func duration(
        _ name: String, _ path: ValuePath<Duration>, from minimum: Duration = minimumDuration, zero: String? = nil,
        reload: Reload = .restart, _ meaning: String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: reload,
            allowed: "a duration from \(ConfigurationNotation.text(minimum)) to 3650d, such as 500ms, 30s, 5m or 24h" + orZero(zero),
            meaning: meaning,
            read: { texts in
                guard let value = only(texts).flatMap(ConfigurationNotation.duration) else { return nil }
                if value == .zero { return zero == nil ? nil : value }
                return (minimum...maximumDuration).contains(value) ? value : nil
            },
            write: { ConfigurationNotation.text($0) })
    }

    /// Creates the key of a size from 1 byte to 1TB, or 0, whose meaning is `zero`.
    static func size(
        _ name: String, _ path: ValuePath<Int>, zero: String = "no limit", reload: Reload = .restart, _ meaning: String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: reload, allowed: "a size from 1B to 1TB, such as 4096, 100KB or 64KiB" + orZero(zero), meaning: meaning,
            read: { only($0).flatMap(ConfigurationNotation.size).flatMap { (0...maximumSize).contains($0) ? $0 : nil } },
            write: { ConfigurationNotation.text(size: $0) })
    }

    /// Creates the key of a count or rate within bounds (by default 1 to 1000000000); also 0 if `zero` states its meaning.
    static func count(
        _ name: String, _ path: ValuePath<Int>, in bounds: ClosedRange<Int> = 1...maximumCount, zero: String? = "no limit",
        reload: Reload = .restart, _ meaning: String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: reload, allowed: "a whole number from \(bounds.lowerBound) to \(bounds.upperBound)" + orZero(zero),
            meaning: meaning,
            read: { texts in
                guard let value = only(texts).flatMap(ConfigurationNotation.count) else { return nil }
                return bounds.contains(value) || (value == 0 && zero != nil) ? value : nil
            },
            write: { "\($0)" })
    }

    /// Creates the key of a factor from 0.001 to `limit`, or 0, whose meaning is `zero`.
    static func factor(
        _ name: String, _ path: ValuePath<Double>, upTo limit: Int = maximumCount, zero: String = "no limit", reload: Reload = .restart,
        _ meaning: String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: reload, allowed: "a number from 0.001 to \(limit)" + (limit > 1 ? ", such as 1.5" : "") + orZero(zero),
            meaning: meaning,
            read: { texts in
                guard let value = only(texts).flatMap(ConfigurationNotation.factor) else { return nil }
                return value == 0 || (0.001...Double(limit)).contains(value) ? value : nil
            },
            write: { $0 == $0.rounded() ? "\(Int($0))" : "\($0)" })
    }

    /// Creates the key of a value that is true or false.
    static func toggle(_ name: String, _ path: ValuePath<Bool>, reload: Reload = .restart, _ meaning: String) -> ConfigurationKey {
        ConfigurationKey(
            name, path, isToggle: true, reload: reload, allowed: "true or false", meaning: meaning,
            read: { only($0).flatMap(Bool.init) }, write: { "\($0)" })
    }

    /// Creates the key of a value that is one of a few words.
    static func choice<Value: RawRepresentable<String> & CaseIterable & Sendable>(
        _ name: String, _ path: ValuePath<Value>, reload: Reload = .restart, _ meaning: String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: reload, allowed: alternatives(Value.allCases.map(\.rawValue)), meaning: meaning,
            read: { only($0).flatMap(Value.init) }, write: { $0.rawValue })
    }

    /// Creates the key of a host and a port.
    static func endpoint(_ name: String, _ path: ValuePath<SocketEndpoint>, _ meaning: String) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: .restart, allowed: endpointAllowed, meaning: meaning,
            read: { only($0).flatMap { SocketEndpoint($0) } }, write: { $0.description })
    }

    static let endpointAllowed = "host:port, such as 127.0.0.1:8443, [::1]:8443 or localhost:8443, with a port from 0 to 65535"

    /// Creates the key of a list whose entries are parsed one by one; all must be allowed.
    static func list<Value: Sendable>(
        _ name: String, _ path: ValuePath<[Value]>, of allowed: String, isSecret: Bool = false, reload: Reload = .restart,
        _ meaning: String,
        read: @escaping @Sendable (String) -> Value?, write: @escaping @Sendable (Value) -> String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name, path, isList: true, isSecret: isSecret, reload: reload, allowed: "a list of \(allowed)", meaning: meaning,
            read: { texts in
                let values = texts.compactMap(read)
                return values.count == texts.count ? values : nil
            },
            write: { "[" + $0.map(write).joined(separator: ", ") + "]" }, entries: { $0.map(write) })
    }

    /// Joins words as in `a, b or c`.
    static func alternatives(_ words: [String]) -> String {
        guard let last = words.last, words.count > 1 else { return words.joined() }
        return words.dropLast().joined(separator: ", ") + " or " + last
    }

    /// Returns the only text, for a key that isn't a list; nil if there are none or several.
    static func only(_ texts: [String]) -> String? { texts.count == 1 ? texts.first : nil }

    private static func orZero(_ meaning: String?) -> String { meaning.map { ", or 0 for \($0)" } ?? "" }
}
