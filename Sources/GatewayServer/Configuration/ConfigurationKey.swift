// SPDX-License-Identifier: Apache-2.0

/// One key of the configuration: its name, bounds, meaning, and the path of its value in `GatewayConfiguration`.
///
/// The table `ConfigurationKey.all` is the only definition of the keys. Reading, checking, printing, hints, reloading and the test of
/// `gateway.yaml` use it, so that every key that is read is documented and vice versa.
package struct ConfigurationKey: Sendable {
    /// The name as in the files: `connections.max_sockets`.
    package let name: String
    /// Whether the value is a list: a YAML list in files, comma-separated in variables and flags.
    package let isList: Bool
    /// Whether the value is true or false, so that its flag needs no value.
    package let isToggle: Bool
    /// Whether the value is a map: a YAML map in files, a JSON object in variables and flags.
    package let isMap: Bool
    /// Whether the value is never shown.
    package let isSecret: Bool
    /// Whether a reload applies a new value; otherwise a restart is required.
    package let isReloadable: Bool
    /// The allowed values, for users.
    package let allowed: String
    /// The meaning of the value, for users.
    package let meaning: String

    /// Parses the texts (one, or those of a list) into the configuration. Returns false, and changes nothing, if they aren't allowed.
    let assign: @Sendable ([String], inout GatewayConfiguration) -> Bool
    /// The value as it is written in a file; nil if there is none.
    let text: @Sendable (GatewayConfiguration) -> String?
    /// The entries of a list as they are written in a file; nil for a key that isn't a list.
    let entries: @Sendable (GatewayConfiguration) -> [String]?
    /// Copies the value from one configuration to another.
    let copy: @Sendable (GatewayConfiguration, inout GatewayConfiguration) -> Void

    /// The components by which swift-configuration looks up a key.
    var components: [String] { name.split(separator: ".").map(String.init) }

    /// `PARLEY_CONNECTIONS_MAX_SOCKETS`.
    package var variable: String { "PARLEY_" + String(name.uppercased().map { $0 == "." ? "_" : $0 }) }

    /// `--connections.max_sockets`.
    package var flag: String { "--" + name }

    /// Returns the value for output: masked if it is a secret, `(none)` if there is none.
    package func shown(in configuration: GatewayConfiguration) -> String {
        guard let text = text(configuration) else { return "(none)" }
        // An empty list is no secret.
        return isSecret && text != "[]" ? Self.mask : URLCredentials.maskedQuery(text)
    }

    /// The text shown in place of a secret. Its length doesn't depend on the secret's.
    package static let mask = "********"

    /// Creates a key from the functions that parse and format its value.
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

    /// Whether a new value is applied by a reload or by a restart.
    enum Reload: Sendable {
        case live, restart
    }
}
