// SPDX-License-Identifier: Apache-2.0

/// The removal of C0 controls except TAB and LF, DEL, and C1 controls from every client string (protocol page, section "Messages").
enum Sanitizing {
    /// The first of the two bytes of a C1 control. With a second byte of 0xA0 or more, the character isn't a control.
    @inline(__always)
    static var c1LeadByte: UInt8 { 0xC2 }

    @inline(__always)
    static func removes(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x09, 0x0A: false
        case 0x00..<0x20, 0x7F..<0xA0: true
        default: false
        }
    }

    /// Returns the size of `scalar` in UTF-8 after sanitizing, 0 to 4 bytes.
    @inline(__always)
    static func count(of scalar: UInt32) -> Int {
        switch scalar {
        case _ where removes(scalar): 0
        case 0..<0x80: 1
        case 0..<0x800: 2
        case 0..<0x1_0000: 3
        default: 4
        }
    }
}
