internal import Configuration

/// The command-line flags: `--connections.max 5` or `--connections.max=5`. A list takes commas, several values, or the flag again;
/// a key that is true or false needs no value for true.
struct ConfigurationFlags {
    private(set) var problems: [ConfigurationProblem] = []
    private let snapshot: any ConfigSnapshot
    /// Keys, `environment` and `config` that were given, and rightly.
    private var names: Set<String> = []

    /// Takes the arguments behind the subcommand.
    init(_ arguments: [String]) {
        // The provider expects the program's name first, and would look for `--connections-max`.
        snapshot = CommandLineArgumentsProvider(
            arguments: ["parley"] + arguments, secretsSpecifier: .specific(Self.secrets(in: arguments))
        )
        .mapKeys { AbsoluteConfigKey([$0.components.joined(separator: ".")]) }
        .snapshot()
        check(arguments)
    }

    /// What the flags set, for the loader.
    var layer: ConfigurationLayer {
        ConfigurationLayer(values: snapshot, names: names, source: \.flag, scalarsAreLists: true)
    }

    /// The value of `--environment` or `--config`; nil when it isn't given.
    func value(of name: String) -> String? {
        guard names.contains(name), case .stringArray(let texts)? = try? snapshot.value(forKey: [name], type: .stringArray).value?.content
        else { return nil }
        return texts.joined(separator: ",")
    }

    private static func secrets(in arguments: [String]) -> Set<String> {
        let names = arguments.filter { $0.hasPrefix("--") }.compactMap { $0.dropFirst(2).split(separator: "=", maxSplits: 1).first }
        return Set(names.compactMap { ConfigurationKey.named(String($0)) }.filter(\.isSecret).map(\.flag))
    }

    /// The provider drops what it doesn't know and can't list what it has, so this goes through the arguments once more.
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
                hint: count == 0 ? "the flag needs a value" : "the flag takes one value, once"))
    }
}
