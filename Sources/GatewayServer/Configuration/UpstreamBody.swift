import GatewayCore
import Yams

/// Further members of the JSON body that an `openai` upstream is sent: `temperature`, `top_p`, and whatever else a server understands.
///
/// Written as a map in YAML, or as a JSON object in one text.
package struct UpstreamBody: Sendable, Hashable, CustomStringConvertible {
    package struct Member: Sendable, Hashable {
        package let name: String
        /// Its value as JSON.
        package let json: [UInt8]
    }

    /// In the order of their names.
    package private(set) var members: [Member] = []

    /// Bytes of the whole as JSON, at most.
    static let limit = 16_384
    /// Values, nested ones among them, at most: aliases can make many of a few lines.
    private static let mostValues = 256

    package init() {}

    /// Reads a JSON object, or the same in YAML; nil when the text is anything else.
    package init?(_ text: String) {
        guard text.utf8.count <= Self.limit, let node = try? Parser(yaml: text, encoding: .utf8).singleRoot(),
            case .mapping(let mapping) = node
        else { return nil }
        self.init(mapping)
    }

    init?(_ mapping: Node.Mapping) {
        var left = Self.mostValues
        for (name, value) in mapping {
            var json: [UInt8] = []
            guard let name = name.scalar?.string, !name.isEmpty, Self.append(value, to: &json, left: &left) else { return nil }
            members.append(Member(name: name, json: json))
        }
        members.sort { $0.name < $1.name }
        guard description.utf8.count <= Self.limit else { return nil }
    }

    package func has(_ name: String) -> Bool { members.contains { $0.name == name } }

    /// The JSON of a member, without the quotes where it is a text: the value of a form's field.
    static func formValue(_ member: Member) -> [UInt8] {
        guard member.json.first == UInt8(ascii: "\""),
            let text = try? Parser(yaml: String(decoding: member.json, as: UTF8.self)).singleRoot()?.scalar
        else { return member.json }
        return Array(text.string.utf8)
    }

    package var description: String {
        var json = Array("{".utf8)
        for (index, member) in members.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            json.append(member)
        }
        return String(decoding: json, as: UTF8.self) + "}"
    }

    /// - Returns: false for what JSON has no way to write, and for too much.
    private static func append(_ node: Node, to json: inout [UInt8], left: inout Int) -> Bool {
        left -= 1
        guard left >= 0, json.count <= limit else { return false }
        switch node {
        case .scalar(let scalar): return append(scalar, node, to: &json)
        case .sequence(let sequence):
            json.append(UInt8(ascii: "["))
            for (index, element) in sequence.enumerated() {
                if index > 0 { json.append(UInt8(ascii: ",")) }
                guard append(element, to: &json, left: &left) else { return false }
            }
            json.append(UInt8(ascii: "]"))
        case .mapping(let mapping):
            json.append(UInt8(ascii: "{"))
            for (index, (name, value)) in mapping.enumerated() {
                if index > 0 { json.append(UInt8(ascii: ",")) }
                guard let name = name.scalar?.string else { return false }
                json.append(jsonString: name)
                json.append(UInt8(ascii: ":"))
                guard append(value, to: &json, left: &left) else { return false }
            }
            json.append(UInt8(ascii: "}"))
        default: return false
        }
        return true
    }

    private static func append(_ scalar: Node.Scalar, _ node: Node, to json: inout [UInt8]) -> Bool {
        if scalar.style == .plain {
            if node.null != nil { return write("null", to: &json) }
            if let flag = node.bool { return write(flag ? "true" : "false", to: &json) }
            if let number = node.int { return write("\(number)", to: &json) }
            if let number = node.float { return number.isFinite && write("\(number)", to: &json) }
        }
        json.append(jsonString: scalar.string)
        return true
    }

    private static func write(_ literal: String, to json: inout [UInt8]) -> Bool {
        json += literal.utf8
        return true
    }
}

extension [UInt8] {
    /// `"name":value`
    mutating func append(_ member: UpstreamBody.Member) {
        append(jsonString: member.name)
        append(UInt8(ascii: ":"))
        self += member.json
    }
}
