// SPDX-License-Identifier: Apache-2.0

internal import Configuration

/// The environment variables of Parley: `PARLEY_CONNECTIONS_MAX` sets `connections.max`. For a secret, the variable with the suffix `_FILE`
/// names a file that contains it.
///
/// Variables that Kubernetes generates for Services named parley or parley-… are ignored; any other unknown `PARLEY_…` is a problem.
struct ConfigurationVariables {
    /// The maximum size of a file with a secret, in bytes.
    static let secretLimit = 64 * 1024

    private(set) var problems: [ConfigurationProblem] = []
    /// The files of secrets, readable or not.
    private(set) var secretFiles: [String] = []
    private var values: [String: String] = [:]
    /// Lists that were read from files of secrets, by variable.
    private var lists: [String: [String]] = [:]
    private var sources: [String: String] = [:]

    /// Selects Parley's variables from the environment of a process.
    init(_ environment: [String: String]) {
        let ours = environment.filter { name, value in
            name.hasPrefix("PARLEY_") && !Self.isKubernetesServiceVariable(name, value)
                && name != "PARLEY_ENVIRONMENT" && name != "PARLEY_CONFIG"
        }
        let secretFileVariables = Dictionary(
            ConfigurationKey.all.filter(\.isSecret).map { ($0.variable + "_FILE", $0) }, uniquingKeysWith: { first, _ in first })
        for (name, value) in ours.sorted(by: { $0.key < $1.key }) {
            if ConfigurationKey.variable(name) != nil {
                values[name] = value
            } else if let key = secretFileVariables[name] ?? Self.secret(inFile: name) {
                readSecret(of: key, variable: name, path: value, alsoSet: ours[key.variable] != nil)
            } else {
                let known =
                    ConfigurationKey.all.map(\.variable) + secretFileVariables.keys.sorted() + ["PARLEY_ENVIRONMENT", "PARLEY_CONFIG"]
                problems.append(.unknownKey(name, source: name, among: known, separator: "_"))
            }
        }
    }

    /// Whether Kubernetes generated this variable for a Service whose name begins with `parley`, in the form of Docker's links:
    /// `PARLEY_REDIS_SERVICE_HOST`, `…_SERVICE_PORT`, `…_SERVICE_PORT_<port's name>`, `…_PORT` with a URL, `…_PORT_6379_TCP`,
    /// `…_PORT_6379_TCP_ADDR`.
    static func isKubernetesServiceVariable(_ name: String, _ value: String) -> Bool {
        if name.hasPrefix("PARLEY_SERVICE_") || name.hasPrefix("PARLEY_PORT") { return true }
        if name.hasSuffix("_SERVICE_HOST") || name.hasSuffix("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") { return true }
        if name.hasSuffix("_PORT"), ["tcp://", "udp://", "sctp://"].contains(where: { value.hasPrefix($0) }) { return true }
        var words = name.split(separator: "_")
        if let last = words.last, ["PROTO", "PORT", "ADDR"].contains(last) { words.removeLast() }
        guard words.count > 3, ["TCP", "UDP", "SCTP"].contains(words[words.count - 1]) else { return false }
        return words[words.count - 3] == "PORT" && UInt16(words[words.count - 2]) != nil
    }

    /// The layer of the values that variables set.
    var layer: ConfigurationLayer {
        let secrets = Set(values.keys.filter { ConfigurationKey.variable($0)?.isSecret ?? false })
        return ConfigurationLayer(
            values: EnvironmentVariablesProvider(environmentVariables: values, secretsSpecifier: .specific(secrets))
                .prefixKeys(with: "parley").snapshot(),
            names: Set(values.keys.compactMap { ConfigurationKey.variable($0)?.name }),
            source: { [sources] key in sources[key.variable] ?? key.variable },
            lists: Dictionary(
                uniqueKeysWithValues: lists.compactMap { name, list in ConfigurationKey.variable(name).map { ($0.name, list) } }))
    }

    /// Returns the secret of a block that a `_FILE` variable sets: `upstreams.chat.api_key` for `PARLEY_UPSTREAMS_CHAT_API_KEY_FILE`.
    private static func secret(inFile variable: String) -> ConfigurationKey? {
        guard variable.hasSuffix("_FILE") else { return nil }
        return ConfigurationKey.variable(String(variable.dropLast(5))).flatMap { $0.isSecret ? $0 : nil }
    }

    private mutating func readSecret(of key: ConfigurationKey, variable: String, path: String, alsoSet: Bool) {
        secretFiles.append(path)
        func reject(_ allowed: String, hint: String?) {
            problems.append(ConfigurationProblem(key: key.name, value: path, source: variable, allowed: allowed, hint: hint))
        }
        guard !alsoSet else { return reject("\(variable) or \(key.variable), not both", hint: nil) }
        let allowed = "the path of a readable file of at most 64KiB"
        switch BoundedFile.read(path, limit: Self.secretLimit) {
        case .missing: reject(allowed, hint: "there is no such file")
        case .unreadable(let reason): reject(allowed, hint: reason)
        case .bytes(let bytes):
            // Editors and `echo` end a file with a newline, which isn't part of the secret.
            guard let text = String(validating: bytes, as: UTF8.self) else { return reject(allowed, hint: "not UTF-8") }
            values[key.variable] = text.hasSuffix("\r\n") || text.hasSuffix("\n") ? String(text.dropLast()) : text
            // An entry may contain a comma, so the file has one entry per line.
            if key.isList { lists[key.variable] = text.split(whereSeparator: \.isNewline).map(String.init) }
            sources[key.variable] = variable
        }
    }
}
