// SPDX-License-Identifier: Apache-2.0

internal import Configuration

/// One layer of the configuration: a file, the environment variables or the flags, read through swift-configuration.
struct ConfigurationLayer {
    /// The values by `ConfigurationKey.components`.
    var values: any ConfigSnapshot
    /// The names of the keys that this layer sets; swift-configuration looks values up but can't list them.
    var names: Set<String>
    /// Returns the source of a key's value in this layer.
    var source: (ConfigurationKey) -> String
    /// Whether all values are stored as lists: flags don't distinguish lists from other values.
    var scalarsAreLists = false
    /// Lists that are already split into entries, by key name.
    var lists: [String: [String]] = [:]
    /// The source of each group of keys, such as `upstreams.chat`; only in files.
    var groups: [String: String] = [:]

    /// Returns the texts of a key: one, or those of its list; nil if this layer doesn't set it.
    func texts(of key: ConfigurationKey) -> [String]? {
        if let list = lists[key.name] { return list.map(trimmed) }
        let type: ConfigType = key.isList || scalarsAreLists ? .stringArray : .string
        // A value of another type was reported when the layer was created, and isn't in `names`.
        guard names.contains(key.name), let found = try? values.value(forKey: AbsoluteConfigKey(key.components), type: type).value else {
            return nil
        }
        switch found.content {
        case .string(let text): return [text]
        // Flags are split at commas; a value that isn't a list is joined again.
        case .stringArray(let texts) where !key.isList: return texts.isEmpty && key.isToggle ? ["true"] : [texts.joined(separator: ",")]
        // In variables and flags, one empty text is an empty list.
        case .stringArray(let texts): return texts == [""] ? [] : texts.map(trimmed)
        default: return nil
        }
    }

    private func trimmed(_ text: String) -> String {
        var rest = Substring(text)
        while rest.first == " " { rest.removeFirst() }
        while rest.last == " " { rest.removeLast() }
        return String(rest)
    }
}
