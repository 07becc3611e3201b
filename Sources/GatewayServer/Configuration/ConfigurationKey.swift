/// One key of the configuration: its name, its bounds, its meaning, and the place of its value in `GatewayConfiguration`.
///
/// The table of keys, `ConfigurationKey.all`, is the one place that knows them. Reading, checking, printing, hints, reloading and the
/// test of `gateway.yaml` go by it, so that a key can't be read but not documented, or documented but not read.
package struct ConfigurationKey: Sendable {
    /// As in the files: `connections.max_sockets`.
    package let name: String
    /// Whether the value is a list: a YAML list in files, comma-separated in variables and flags.
    package let isList: Bool
    /// Whether the value is true or false: its flag then needs no value.
    package let isToggle: Bool
    /// Whether the value is a map: written as such in files, as a JSON object in variables and flags.
    package let isMap: Bool
    /// Whether the value is never shown.
    package let isSecret: Bool
    /// Whether a running gateway takes a new value; else it needs a restart.
    package let isReloadable: Bool
    /// What may be written, for people.
    package let allowed: String
    /// What the value is for, for people, with what 0 does.
    package let meaning: String

    /// Reads the texts (one, or those of a list) into the configuration; false, and nothing changed, if they aren't allowed.
    let assign: @Sendable ([String], inout GatewayConfiguration) -> Bool
    /// The value as it would be written; nil where there is none.
    let text: @Sendable (GatewayConfiguration) -> String?
    /// The entries of a list as they would be written; nil for a key that is none.
    let entries: @Sendable (GatewayConfiguration) -> [String]?
    /// Takes the value of one configuration over into another.
    let copy: @Sendable (GatewayConfiguration, inout GatewayConfiguration) -> Void

    /// The components that swift-configuration looks a key up by.
    var components: [String] { name.split(separator: ".").map(String.init) }

    /// `PARLEY_CONNECTIONS_MAX_SOCKETS`.
    package var variable: String { "PARLEY_" + String(name.uppercased().map { $0 == "." ? "_" : $0 }) }

    /// `--connections.max_sockets`.
    package var flag: String { "--" + name }

    /// The value for people: masked when it is a secret, `(none)` where there is none.
    package func shown(in configuration: GatewayConfiguration) -> String {
        guard let text = text(configuration) else { return "(none)" }
        return isSecret ? Self.mask : URLCredentials.maskedQuery(text)
    }

    /// What stands for a secret. Of one length, whatever the secret's is.
    package static let mask = "********"

    /// A key whose value is an entry, or a list of entries, of the given reading and writing.
    init<Value: Sendable>(
        _ name: String, _ path: any WritableKeyPath<GatewayConfiguration, Value> & Sendable,
        isList: Bool = false, isToggle: Bool = false, isMap: Bool = false, isSecret: Bool = false, reload: Reload, allowed: String,
        meaning: String,
        read: @escaping @Sendable ([String]) -> Value?, write: @escaping @Sendable (Value) -> String?,
        entries: @escaping @Sendable (Value) -> [String]? = { _ in nil }
    ) {
        self.name = name
        self.isList = isList
        self.isToggle = isToggle
        self.isMap = isMap
        self.isSecret = isSecret
        self.isReloadable = reload == .live
        self.allowed = allowed
        self.meaning = meaning
        self.assign = { texts, configuration in
            guard let value = read(texts) else { return false }
            configuration[keyPath: path] = value
            return true
        }
        self.text = { write($0[keyPath: path]) }
        self.entries = { entries($0[keyPath: path])?.map(URLCredentials.maskedQuery) }
        self.copy = { source, target in target[keyPath: path] = source[keyPath: path] }
    }

    /// Whether a new value is taken while the gateway runs.
    enum Reload: Sendable {
        case live, restart
    }
}
