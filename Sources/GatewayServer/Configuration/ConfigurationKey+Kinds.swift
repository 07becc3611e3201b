extension ConfigurationKey {
    /// The path of a value in the configuration.
    typealias ValuePath<Value> = any WritableKeyPath<GatewayConfiguration, Value> & Sendable

    /// The longest duration: ten years, with which no clock arithmetic overflows.
    static let longest = Duration.seconds(3650 * 86_400)
    /// The shortest duration other than zero.
    static let shortest = Duration.milliseconds(100)
    /// The largest count or rate.
    static let most = 1_000_000_000
    /// The largest size, in bytes.
    static let largest = 1_000_000_000_000

    /// A duration from `shortest` to 3650d; also 0 if `zero` states its meaning.
    static func duration(
        _ name: String, _ path: ValuePath<Duration>, from shortest: Duration = shortest, zero: String? = nil, reload: Reload = .restart,
        _ meaning: String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: reload,
            allowed: "a duration from \(ConfigurationNotation.text(shortest)) to 3650d, such as 500ms, 30s, 5m or 24h" + orZero(zero),
            meaning: meaning,
            read: { texts in
                guard let value = only(texts).flatMap(ConfigurationNotation.duration) else { return nil }
                if value == .zero { return zero == nil ? nil : value }
                return (shortest...longest).contains(value) ? value : nil
            },
            write: { ConfigurationNotation.text($0) })
    }

    /// A size from 1 byte to 1TB, or 0, whose meaning is `zero`.
    static func size(
        _ name: String, _ path: ValuePath<Int>, zero: String = "no limit", reload: Reload = .restart, _ meaning: String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: reload, allowed: "a size from 1B to 1TB, such as 4096, 100KB or 64KiB" + orZero(zero), meaning: meaning,
            read: { only($0).flatMap(ConfigurationNotation.size).flatMap { (0...largest).contains($0) ? $0 : nil } },
            write: { ConfigurationNotation.text(size: $0) })
    }

    /// A count or rate within bounds (by default 1 to 1000000000); also 0 if `zero` states its meaning.
    static func count(
        _ name: String, _ path: ValuePath<Int>, in bounds: ClosedRange<Int> = 1...most, zero: String? = "no limit",
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

    /// A factor from 0.001 to `most`, or 0, whose meaning is `zero`.
    static func factor(
        _ name: String, _ path: ValuePath<Double>, most: Int = most, zero: String = "no limit", reload: Reload = .restart, _ meaning: String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: reload, allowed: "a number from 0.001 to \(most)" + (most > 1 ? ", such as 1.5" : "") + orZero(zero),
            meaning: meaning,
            read: { texts in
                guard let value = only(texts).flatMap(ConfigurationNotation.factor) else { return nil }
                return value == 0 || (0.001...Double(most)).contains(value) ? value : nil
            },
            write: { $0 == $0.rounded() ? "\(Int($0))" : "\($0)" })
    }

    /// A value that is true or false.
    static func toggle(_ name: String, _ path: ValuePath<Bool>, reload: Reload = .restart, _ meaning: String) -> ConfigurationKey {
        ConfigurationKey(
            name, path, isToggle: true, reload: reload, allowed: "true or false", meaning: meaning,
            read: { only($0).flatMap(Bool.init) }, write: { "\($0)" })
    }

    /// One of a few words.
    static func choice<Value: RawRepresentable<String> & CaseIterable & Sendable>(
        _ name: String, _ path: ValuePath<Value>, reload: Reload = .restart, _ meaning: String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: reload, allowed: alternatives(Value.allCases.map(\.rawValue)), meaning: meaning,
            read: { only($0).flatMap(Value.init) }, write: { $0.rawValue })
    }

    /// A host and a port.
    static func endpoint(_ name: String, _ path: ValuePath<SocketEndpoint>, _ meaning: String) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: .restart,
            allowed: "host:port, such as 127.0.0.1:8443, [::1]:8443 or localhost:8443, with a port from 0 to 65535", meaning: meaning,
            read: { only($0).flatMap { SocketEndpoint($0) } }, write: { $0.description })
    }

    /// A list whose entries are parsed one by one; all must be allowed.
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

    /// `a, b or c`.
    static func alternatives(_ words: [String]) -> String {
        guard let last = words.last, words.count > 1 else { return words.joined() }
        return words.dropLast().joined(separator: ", ") + " or " + last
    }

    /// The one text of a key that isn't a list.
    static func only(_ texts: [String]) -> String? { texts.count == 1 ? texts.first : nil }

    private static func orZero(_ meaning: String?) -> String { meaning.map { ", or 0 for \($0)" } ?? "" }
}
