// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// An operator's annotation of a session.
package struct SessionAnnotation: Sendable, Hashable, Codable {
    /// At most 200 characters.
    package var title: String?
    /// At most 16, each of 1 to 64 characters.
    package var tags: [String] = []
    /// At most 10,000 characters.
    package var notes: String?

    package static let maximumTitleLength = 200
    package static let maximumTags = 16
    package static let maximumTagLength = 64
    package static let maximumNotesLength = 10_000

    package init(title: String? = nil, tags: [String] = [], notes: String? = nil) {
        self.title = title
        self.tags = tags
        self.notes = notes
    }

    package var isEmpty: Bool { title == nil && tags.isEmpty && notes == nil }
}

/// A change of an annotation, as a JSON merge patch (RFC 7396): an absent field is unchanged, and `null` removes a field.
package struct SessionAnnotationPatch: Sendable {
    /// The reason why a patch is invalid.
    package struct Fault: Error {
        package let detail: String
    }

    private enum Field<Value: Sendable>: Sendable {
        case unchanged
        case set(Value?)
    }

    private var title = Field<String>.unchanged
    private var tags = Field<[String]>.unchanged
    private var notes = Field<String>.unchanged

    /// - Throws: ``Fault`` if the patch is invalid or exceeds the bounds.
    package init(json: [UInt8]) throws(Fault) {
        let object: [String: FieldValue]
        do {
            object = try JSONDecoder().decode([String: FieldValue].self, from: Data(json))
        } catch {
            throw Fault(detail: "the body must be a JSON object with title, tags or notes: strings, a list of strings, or null")
        }
        for (name, value) in object {
            switch (name, value) {
            case ("title", .null): title = .set(nil)
            case ("title", .text(let text)):
                title = .set(try Self.checked(text, name, upTo: SessionAnnotation.maximumTitleLength, isOneLine: true))
            case ("notes", .null): notes = .set(nil)
            case ("notes", .text(let text)):
                notes = .set(try Self.checked(text, name, upTo: SessionAnnotation.maximumNotesLength, isOneLine: false))
            case ("tags", .null): tags = .set(nil)
            case ("tags", .list(let list)):
                guard list.count <= SessionAnnotation.maximumTags else {
                    throw Fault(detail: "at most \(SessionAnnotation.maximumTags) tags are allowed")
                }
                var checked: [String] = []
                for tag in list {
                    checked.append(try Self.checked(tag, "a tag", upTo: SessionAnnotation.maximumTagLength, isOneLine: true))
                }
                tags = .set(checked)
            case ("title", _), ("notes", _), ("tags", _): throw Fault(detail: "\(name) has the wrong type")
            default: throw Fault(detail: "unknown field; the fields are title, tags and notes")
            }
        }
    }

    package func applied(to annotation: SessionAnnotation) -> SessionAnnotation {
        var result = annotation
        if case .set(let value) = title { result.title = value }
        if case .set(let value) = tags { result.tags = value ?? [] }
        if case .set(let value) = notes { result.notes = value }
        return result
    }

    private static func checked(_ text: String, _ name: String, upTo limit: Int, isOneLine: Bool) throws(Fault) -> String {
        // Characters can have any number of bytes, so the bytes are limited, too.
        guard !text.isEmpty, text.count <= limit, text.utf8.count <= limit * 4 else {
            throw Fault(detail: "\(name) must have 1 to \(limit) characters")
        }
        let isClean = text.unicodeScalars.allSatisfy { scalar in
            scalar.properties.generalCategory != .control || (!isOneLine && (scalar == "\n" || scalar == "\t"))
        }
        guard isClean else { throw Fault(detail: "\(name) must not contain control characters") }
        return text
    }

    private enum FieldValue: Decodable {
        case null
        case text(String)
        case list([String])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
            } else if let text = try? container.decode(String.self) {
                self = .text(text)
            } else {
                self = .list(try container.decode([String].self))
            }
        }
    }
}
