// SPDX-License-Identifier: Apache-2.0

internal import Configuration

/// The command-line flags: `--connections.max 5` or `--connections.max=5`. A list is given with commas, as several values, or by repeating
/// the flag; for a key that is true or false, the flag alone means true.
struct ConfigurationFlags {
    private(set) var problems: [ConfigurationProblem] = []
    private let snapshot: any ConfigSnapshot
    /// The names of the known flags, `environment` and `config` included, that have a valid number of values.
    private var names: Set<String> = []

    /// Parses the arguments after the subcommand.
    init(_ arguments: [String]) {
        // The provider expects the program's name first, and by default looks for `--connections-max`.
        snapshot = CommandLineArgumentsProvider(
            arguments: ["parley"] + arguments, secretsSpecifier: .specific(Self.secrets(in: arguments))
        )
        .mapKeys { AbsoluteConfigKey([$0.components.joined(separator: ".")]) }
        .snapshot()
        check(arguments)
    }

    /// The layer of the values that flags set.
    var layer: ConfigurationLayer {
        ConfigurationLayer(values: snapshot, names: names, source: \.flag, scalarsAreLists: true)
    }

    /// Returns the value of `--environment` or `--config`; nil if the flag isn't given.
    func value(of name: String) -> String? {
        guard names.contains(name), case .stringArray(let texts)? = try? snapshot.value(forKey: [name], type: .stringArray).value?.content
        else { return nil }
        return texts.joined(separator: ",")
    }

    private static func secrets(in arguments: [String]) -> Set<String> {
        let names = arguments.filter { $0.hasPrefix("--") }.compactMap { $0.dropFirst(2).split(separator: "=", maxSplits: 1).first }
        return Set(names.compactMap { ConfigurationKey.named(String($0)) }.filter(\.isSecret).map(\.flag))
    }

    /// The provider drops unknown arguments and can't list its values, so this function parses the arguments once more.
    private mutating func check(_ arguments: [String]) {
        var values: [String: Int] = [:]
        var current: String?
        for argument in arguments {
            if argument.hasPrefix("--") {
                let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                let name = parts.first.map(String.init) ?? ""
                current = parts.count == 1 ? name : nil
                values[name, default: 0] += parts.count - 1
            } else if let current {
                values[current, default: 0] += 1
            } else {
                problems.append(
                    ConfigurationProblem(key: argument, source: "the command line", allowed: "flags, as in --connections.max 1000"))
            }
        }
        for (name, count) in values.sorted(by: { $0.key < $1.key }) { check(name, count: count) }
    }

    private mutating func check(_ name: String, count: Int) {
        let key = ConfigurationKey.named(name)
        guard key != nil || name == "environment" || name == "config" else {
            let known = ConfigurationKey.all.map(\.flag) + ["--environment", "--config"]
            return problems.append(.unknownKey("--" + name, source: "--" + name, among: known))
        }
        if key?.isList == true ? count > 0 : count == 1 || (count == 0 && key?.isToggle == true) {
            names.insert(name)
            return
        }
        problems.append(
            ConfigurationProblem(
                key: name, source: "--" + name, allowed: key?.allowed ?? "one value",
                hint: count == 0 ? "the flag needs a value" : "the flag takes exactly one value"))
    }
}
