// SPDX-License-Identifier: Apache-2.0

/// The reason why an audit file can't be opened, read or written.
package enum AuditFault: Error, Sendable, Hashable {
    /// With the system's message.
    case cannotOpen(String)
    case notAFile
    /// Another process writes the file.
    case inUse
    /// The end of the file has no record.
    case noRecord
    /// With the system's message.
    case cannotRead(String)
    /// With the system's message.
    case cannotWrite(String)
}

extension AuditFault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .cannotOpen(let reason): "can't be opened: \(reason)"
        case .notAFile: "isn't a regular file"
        case .inUse: "is written by another process"
        case .noRecord: "has no audit record at its end; move it away"
        case .cannotRead(let reason): "can't be read: \(reason)"
        case .cannotWrite(let reason): "can't be written: \(reason)"
        }
    }
}
