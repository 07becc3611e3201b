// SPDX-License-Identifier: Apache-2.0

import Foundation
package import ParleyClient

/// The session report of a `status` message as text.
extension ServerMessage {
    /// One line for each value of the report, with its path, as in `session.messages_in: 3`; sorted by path.
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

    /// Joins path and key. Names of limits already include the path, and are returned unchanged.
    private static func join(_ path: String, _ key: String) -> String {
        path.isEmpty || key.hasPrefix(path + ".") ? key : "\(path).\(key)"
    }
}
