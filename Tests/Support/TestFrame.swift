// SPDX-License-Identifier: Apache-2.0

/// A frame built by hand (RFC 6455 §5.2), valid or not, without the serializer under test.
package struct TestFrame: Sendable {
    package enum LengthForm: Sendable { case minimal, sixteenBits, sixtyFourBits }

    package var opcode: UInt8
    package var payload: [UInt8]
    package var isFinal = true
    /// RSV1, RSV2, RSV3 as the bits 4, 2, 1.
    package var reserved: UInt8 = 0
    /// The masking key; nil for an unmasked frame.
    package var mask: [UInt8]? = [0x37, 0xFA, 0x21, 0x3D]
    package var lengthForm = LengthForm.minimal
    /// The length in the header, if it differs from the payload's.
    package var declaredLength: UInt64?

    package static let continuation: UInt8 = 0
    package static let text: UInt8 = 1
    package static let binary: UInt8 = 2
    package static let close: UInt8 = 8
    package static let ping: UInt8 = 9
    package static let pong: UInt8 = 10

    package init(_ opcode: UInt8, _ payload: [UInt8] = []) {
        self.opcode = opcode
        self.payload = payload
    }

    /// - Parameter first: the first byte: FIN, the reserved bits and the opcode
    package init(first: UInt8, _ payload: [UInt8] = []) {
        self.init(first & 0x0F, payload)
        isFinal = first & 0x80 != 0
        reserved = first >> 4 & 7
    }

    package init(_ opcode: UInt8, text: String) { self.init(opcode, Array(text.utf8)) }

    /// Returns a close frame; any code is allowed.
    package static func close(_ code: UInt16, _ reason: [UInt8] = []) -> TestFrame {
        TestFrame(close, [UInt8(code >> 8), UInt8(code & 0xFF)] + reason)
    }

    /// Returns a copy as modified by `change`.
    package func with(_ change: (inout TestFrame) -> Void) -> TestFrame {
        var copy = self
        change(&copy)
        return copy
    }

    package var header: [UInt8] {
        var bytes: [UInt8] = [(isFinal ? 0x80 : 0) | reserved << 4 | opcode]
        let masked: UInt8 = mask == nil ? 0 : 0x80
        let length = declaredLength ?? UInt64(payload.count)
        var form = lengthForm
        if form == .minimal, length > 125 { form = length <= 0xFFFF ? .sixteenBits : .sixtyFourBits }
        switch form {
        case .minimal: bytes.append(masked | UInt8(length))
        case .sixteenBits: bytes += [masked | 126, UInt8(truncatingIfNeeded: length >> 8), UInt8(truncatingIfNeeded: length)]
        case .sixtyFourBits:
            bytes.append(masked | 127)
            for shift in stride(from: UInt64(56), through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
        }
        return bytes + (mask ?? [])
    }

    package var bytes: [UInt8] {
        guard let mask else { return header + payload }
        var bytes = header
        bytes.reserveCapacity(bytes.count + payload.count)
        for (index, byte) in payload.enumerated() { bytes.append(byte ^ mask[index & 3]) }
        return bytes
    }
}
