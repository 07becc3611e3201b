// SPDX-License-Identifier: Apache-2.0

internal import Configuration
import Yams

/// One YAML file: its values by key, the line of each, and the problems of its structure.
///
/// Keys may be nested (`connections:` and below it `max:`) or dotted (`connections.max:`). Values are returned as written; the table of
/// keys validates them.
struct ConfigurationFile {
    /// The maximum size of a file, in bytes.
    static let limit = 1_000_000
    /// The maximum number of nodes, aliases expanded: a few lines of YAML can describe billions of nodes.
    static let nodeLimit = 1000

    /// The path as configured: `config/production.yaml`.
    let path: String
    private(set) var problems: [ConfigurationProblem] = []
    /// Whether the file has no bytes at all.
    private(set) var isEmpty = false
    private var lines: [String: Int] = [:]
    /// The source of each group of keys.
    private var blocks: [String: String] = [:]
    /// The content, to explain syntax errors.
    private var text = ""
    private var values: [AbsoluteConfigKey: ConfigValue] = [:]
    private var visited = 0

    /// Reads a file; returns nil if it doesn't exist.
    init?(path: String) {
        self.path = path
        switch BoundedFile.read(path, limit: Self.limit) {
        case .missing: return nil
        case .unreadable(let reason): reject(path, source: path, allowed: "a readable file of at most 1MB", hint: reason)
        case .bytes(let bytes):
            isEmpty = bytes.isEmpty
            parse(bytes)
        }
    }

    /// The layer of the values that the file sets.
    var layer: ConfigurationLayer {
        ConfigurationLayer(
            values: InMemoryProvider(name: path, values: values).snapshot(),
            names: Set(values.keys.map { $0.components.joined(separator: ".") }),
            source: { [path, lines] key in lines[key.name].map { "\(path):\($0)" } ?? path }, groups: blocks)
    }

    private mutating func parse(_ bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            return reject(path, source: path, allowed: "a YAML file in UTF-8")
        }
        self.text = text
        do {
            switch try Parser(yaml: text, encoding: .utf8).singleRoot() {
            case nil: return
            case .scalar(let scalar) where Self.isNull(scalar): return
            case .mapping(let mapping): read(mapping, prefix: "")
            case .some(let node):
                reject(path, source: source(node.mark), allowed: "groups of keys, such as \"connections:\" and below it \"max: 1000\"")
            }
        } catch let error as YamlError {
            reject(error)
        } catch {
            reject(path, source: path, allowed: "a YAML file")
        }
    }

    private mutating func read(_ mapping: Node.Mapping, prefix: String) {
        for (name, node) in mapping {
            visited += 1
            guard visited <= Self.nodeLimit else {
                if visited == Self.nodeLimit + 1 { reject(path, source: source(node.mark), allowed: "at most \(Self.nodeLimit) entries") }
                return
            }
            guard case .scalar(let scalar) = name else {
                reject(prefix.isEmpty ? path : prefix, source: source(name.mark), allowed: "keys that are plain names")
                continue
            }
            let key = prefix.isEmpty ? scalar.string : "\(prefix).\(scalar.string)"
            // One problem for a block with an invalid name, not one for each of its keys.
            if ConfigurationKey.blockGroups.contains(prefix), !ConfigurationKey.Block.isValid(scalar.string), Self.isBlock(node) {
                problems.append(
                    .misnamedBlock(key, block: .init(group: prefix, name: scalar.string), source: source(name.mark)))
                continue
            }
            read(node, key: key, mark: name.mark)
        }
    }

    private mutating func read(_ node: Node, key: String, mark: Mark?) {
        if let known = ConfigurationKey.named(key) { return read(node, of: known, mark: mark) }
        let isGroup = ConfigurationKey.groups.contains(key) || ConfigurationKey.isBlockGroup(key)
        switch node {
        case .mapping(let mapping) where isGroup || !mapping.isEmpty:
            if blocks[key] == nil { blocks[key] = source(mark) }
            read(mapping, prefix: key)
        case .scalar(let scalar) where isGroup && Self.isNull(scalar): break
        case _ where isGroup:
            reject(key, source: source(mark), allowed: "a group of keys, each on its own line below \"\(key):\"")
        case _ where key == "environment" || key == "config":
            reject(
                key, source: source(mark), allowed: "only --\(key) or PARLEY_\(key.uppercased()), because it decides which files are read")
        default:
            problems.append(.unknownKey(key, source: source(mark), among: Self.known(near: key)))
        }
    }

    private mutating func read(_ node: Node, of key: ConfigurationKey, mark: Mark?) {
        // The nested and the dotted form of one key in one file; Yams rejects other duplicates.
        guard lines[key.name] == nil else {
            return reject(key.name, source: source(mark), allowed: "each key once; it is also in line \(lines[key.name] ?? 0)")
        }
        lines[key.name] = mark?.line
        let content: ConfigContent
        switch node {
        case .scalar(let scalar) where Self.isNull(scalar):
            return reject(key.name, value: "", source: source(mark), allowed: key.allowed, hint: "remove the key to use its default")
        case .mapping(let mapping) where key.isMap:
            guard let body = UpstreamBody(mapping) else { return reject(key.name, source: source(mark), allowed: key.allowed) }
            content = .string(body.description)
        case .scalar(let scalar) where !key.isList:
            content = .string(scalar.string)
        case .sequence(let sequence) where key.isList && sequence.count <= Self.nodeLimit:
            let texts = sequence.compactMap { $0.scalar?.string }
            guard texts.count == sequence.count else { return reject(key.name, source: source(mark), allowed: key.allowed) }
            content = .stringArray(texts)
        case .scalar(let scalar) where key.isSecret:
            // A single secret, of which a list is only needed for rotation.
            content = .stringArray([scalar.string])
        case .scalar(let scalar):
            return reject(
                key.name, value: scalar.string, source: source(mark), allowed: key.allowed,
                hint: "a list is written [a, b]")
        default:
            return reject(key.name, source: source(mark), allowed: key.allowed)
        }
        values[AbsoluteConfigKey(key.components)] = ConfigValue(content, isSecret: key.isSecret)
    }

    private mutating func reject(_ error: YamlError) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            let fault = YAMLDiagnosis(in: text, problem: problem, line: mark.line)
            reject(path, source: "\(path):\(fault.line)", allowed: "one YAML document", hint: fault.text)
        case .duplicatedKeysInMapping(let duplicates, let context):
            for key in duplicates { reject(key, source: source(context.mark), allowed: "each key once") }
        case .reader(let problem, _, _, _):
            reject(path, source: path, allowed: "a YAML file in UTF-8", hint: problem)
        default:
            reject(path, source: path, allowed: "a YAML file in UTF-8")
        }
    }

    private mutating func reject(_ key: String, value: String? = nil, source: String, allowed: String, hint: String? = nil) {
        problems.append(ConfigurationProblem(key: key, value: value, source: source, allowed: allowed, hint: hint))
    }

    private func source(_ mark: Mark?) -> String { mark.map { "\(path):\($0.line)" } ?? path }

    /// Returns the known names that a misspelled key may stand for.
    private static func known(near key: String) -> [String] {
        guard let (group, rest) = ConfigurationKey.blockParts(key), rest.count == 2 else { return ConfigurationKey.all.map(\.name) }
        return ConfigurationKey.Block(group: group, name: rest[0]).keys.map(\.name)
    }

    /// Whether a node is a block, and not the value of a dotted key.
    private static func isBlock(_ node: Node) -> Bool {
        switch node {
        case .scalar(let scalar): isNull(scalar)
        default: true
        }
    }

    private static func isNull(_ scalar: Node.Scalar) -> Bool {
        scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }
}
