// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct ByteWritingTests {
    private func written(_ write: (inout [UInt8]) -> Void) -> String {
        var bytes: [UInt8] = []
        write(&bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(arguments: [0, 1, -1, 9, 10, 1_000_000, .max, .min] as [Int64])
    func `integers are written as Swift describes them`(value: Int64) {
        #expect(written { $0.append(decimal: value) } == "\(value)")
    }

    @Test func `the largest unsigned integer is written with twenty digits`() {
        #expect(written { $0.append(decimal: UInt64.max) } == "18446744073709551615")
        #expect(written { $0.append(decimal: Int8.min) } == "-128")
    }

    @Test(arguments: [0.0, 1.5, -2, 1e-7, 9e15, 1.7976931348623157e308, .leastNonzeroMagnitude, -0.1, 12345.678])
    func `numbers round-trip`(value: Double) {
        #expect(Double(written { $0.append(jsonNumber: value) }) == value)
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity])
    func `NaN and infinities are written as null`(value: Double) {
        #expect(written { $0.append(jsonNumber: value) } == "null")
    }

    @Test func `integral numbers are written without a fraction`() {
        #expect(written { $0.append(jsonNumber: 42) } == "42")
        #expect(written { $0.append(jsonNumber: -3) } == "-3")
    }

    @Test func `strings are quoted and escaped`() {
        let text = "tab\t, quote\", backslash\\, bell\u{7}, 🙂"
        let escaped = #""tab\t, quote\", backslash\\, bell\u0007, 🙂""#
        #expect(written { $0.append(jsonString: text) } == escaped)
        #expect(written { $0.append(jsonString: Array(text.utf8)) } == escaped)
        #expect(written { $0.append(jsonString: "") } == "\"\"")
    }
}
