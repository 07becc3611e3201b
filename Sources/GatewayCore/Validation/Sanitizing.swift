/// What is taken out of every string of a client (protocol page, section "Messages"): C0 controls but TAB and LF, DEL, and C1 controls.
enum Sanitizing {
    /// The first of the two bytes of a C1 control. Those whose second is 0xA0 or more aren't controls.
    @inline(__always)
    static var leadOfC1: UInt8 { 0xC2 }

    @inline(__always)
    static func removes(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x09, 0x0A: false
        case 0x00..<0x20, 0x7F..<0xA0: true
        default: false
        }
    }

    /// Bytes of UTF-8 that are left of `scalar`, 0 to 4.
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
