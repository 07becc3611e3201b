// SPDX-License-Identifier: Apache-2.0

/// The kind of a message (RFC 6455 §5.6).
package enum MessageKind: UInt8, Sendable {
    case text = 0x1
    case binary = 0x2

    package var opcode: Opcode {
        switch self {
        case .text: .text
        case .binary: .binary
        }
    }
}
