// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Yams

/// Additional members of the JSON body of requests to an `openai` upstream: `temperature`, `top_p` and others that the server supports.
///
/// Written as a YAML map, or as a JSON object in one text.
package struct UpstreamBody: Sendable, Hashable, CustomStringConvertible {
    package struct Member: Sendable, Hashable {
        package let name: String
        /// The value as JSON.
        package let json: [UInt8]
    }

    /// The members, sorted by name.
    package private(set) var members: [Member] = []

    /// The maximum size of the whole as JSON, in bytes.
    static let limit = 16_384
    /// The maximum number of values, nested ones included: aliases can turn a few lines into many values.
    private static let maximumValues = 256

    package init() {}

    /// Parses a JSON object or a YAML map; returns nil for any other text.
    package init?(_ text: String) {
        guard text.utf8.count <= Self.limit, let node = try? Parser(yaml: text, encoding: .utf8).singleRoot(),
            case .mapping(let mapping) = node
        else { return nil }
        self.init(mapping)
    }

    init?(_ mapping: Node.Mapping) {
        var left = Self.maximumValues
        for (name, value) in mapping {
            var json: [UInt8] = []
            guard let name = name.scalar?.string, !name.isEmpty, Self.append(value, to: &json, left: &left) else { return nil }
            members.append(Member(name: name, json: json))
        }
        members.sort { $0.name < $1.name }
        guard description.utf8.count <= Self.limit else { return nil }
    }

    package func has(_ name: String) -> Bool { members.contains { $0.name == name } }

    /// Returns a member as the value of a form field: its JSON, or the plain text of a string.
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

    /// Appends a node as JSON. Returns false if JSON can't express the node, or if a limit is exceeded.
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
    /// Appends `"name":value`.
    mutating func append(_ member: UpstreamBody.Member) {
        append(jsonString: member.name)
        append(UInt8(ascii: ":"))
        self += member.json
    }
}
