/// What a frame is for: the opcodes of RFC 6455 §5.2. The others (3–7, 11–15) are reserved and refused.
package enum Opcode: UInt8, Sendable, CaseIterable {
    case continuation = 0x0
    case text = 0x1
    case binary = 0x2
    case close = 0x8
    case ping = 0x9
    case pong = 0xA

    /// Control frames (RFC 6455 §5.5) are never fragmented, carry at most 125 bytes, and may stand between fragments.
    package var isControl: Bool { rawValue & 0x8 != 0 }
}
