internal import Configuration

/// One layer of the configuration: a file, the environment variables or the flags, read through swift-configuration.
struct ConfigurationLayer {
    /// The values, looked up by `ConfigurationKey.components`.
    var values: any ConfigSnapshot
    /// The names of the keys that this layer sets; swift-configuration looks values up but can't list them.
    var names: Set<String>
    /// Where the value of a key was written, if it is in this layer.
    var source: (ConfigurationKey) -> String
    /// How the values of keys that aren't lists are written here: flags can't tell the two apart.
    var scalarsAreLists = false
    /// Lists that weren't written in one text, by the names of their keys.
    var lists: [String: [String]] = [:]
    /// Where each group of keys begins, `upstreams.chat` among them; of files only.
    var groups: [String: String] = [:]

    /// The texts of a key: one, or those of its list; nil when this layer doesn't set it.
    func texts(of key: ConfigurationKey) -> [String]? {
        if let list = lists[key.name] { return list.map(trimmed) }
        let type: ConfigType = key.isList || scalarsAreLists ? .stringArray : .string
        // A value of another type was reported when the layer was made, and is not among its names.
        guard names.contains(key.name), let found = try? values.value(forKey: AbsoluteConfigKey(key.components), type: type).value else {
            return nil
        }
        switch found.content {
        case .string(let text): return [text]
        // Flags are split at commas; what isn't a list is put together again.
        case .stringArray(let texts) where !key.isList: return texts.isEmpty && key.isToggle ? ["true"] : [texts.joined(separator: ",")]
        // One empty text is how variables and flags write an empty list.
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
