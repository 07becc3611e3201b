// SPDX-License-Identifier: Apache-2.0

/// The opcode of a frame (RFC 6455 §5.2). The reserved ones (3–7, 11–15) are rejected.
package enum Opcode: UInt8, Sendable, CaseIterable {
    case continuation = 0x0
    case text = 0x1
    case binary = 0x2
    case close = 0x8
    case ping = 0x9
    case pong = 0xA

    /// Whether this is a control frame, which is never fragmented, has a payload of at most 125 bytes, and may be sent between fragments
    /// (RFC 6455 §5.5).
    package var isControl: Bool { rawValue & 0x8 != 0 }
}
