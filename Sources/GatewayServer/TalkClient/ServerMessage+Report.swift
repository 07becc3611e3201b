import Foundation

/// The report of a session, made readable.
extension ServerMessage {
    /// One line for each value of a `status` report, by its path: `session.messages_in: 3`. Sorted by path.
    package var report: [String] {
        guard let value = try? JSONSerialization.jsonObject(with: Data(json.utf8)), var object = value as? [String: Any] else { return [] }
        object["type"] = nil
        object["id"] = nil
        return Self.lines(object, path: "").sorted().map(ClientText.safe)
    }

    private static func lines(_ value: Any, path: String) -> [String] {
        switch value {
        case let object as [String: Any]: object.flatMap { lines($1, path: join(path, $0)) }
        case is NSNull: ["\(path): -"]
        default: ["\(path): \(value)"]
        }
    }

    /// The names of limits begin with where they stand already.
    private static func join(_ path: String, _ key: String) -> String {
        path.isEmpty || key.hasPrefix(path + ".") ? key : "\(path).\(key)"
    }
}
