// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Support
import Testing

@Suite struct HeadGateTests {
    private static let malformed = "GET /v1/ws HTTP/1.1\r\nHost: a\u{8}\r\n"

    /// Sends `head` in pieces of `size` bytes and returns the status of the response.
    private func status(_ head: String, pieces size: Int) throws -> String {
        let client = try LoopHarness { $0.http.maxHeaderBytes = 200 }.connect()
        let bytes = Array(head.utf8)
        for start in stride(from: 0, to: bytes.count, by: size) where !client.isClosed {
            try client.send(bytes[start..<min(bytes.count, start + size)])
        }
        return String(try client.responseHead().dropFirst("HTTP/1.1 ".count).prefix(3))
    }

    @Test(arguments: [1, 7, 24])
    func `an HTTP/2 preface is rejected as soon as it is complete, however it is split`(size: Int) throws {
        #expect(try status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", pieces: size) == "400")
        // Frames after the preface (RFC 9113 §3.4) make no difference.
        #expect(try status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0", pieces: size) == "400")
    }

    @Test(arguments: ["PRI * HTTP/2.0\r\n\r\n", "PRI / HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\n\n", "\r\nPRI * HTTP/2.0\r\n\r\n"])
    func `a complete head after which the parser expects more is rejected immediately`(head: String) throws {
        #expect(try status(head, pieces: 1) == "400")
        #expect(try status(head, pieces: 1000) == "400")
    }

    @Test(arguments: [1, 7, 190, 10_000])
    func `a head with an error before the limit is rejected for the error, however it is split`(size: Int) throws {
        #expect(try status(Self.malformed + "X: " + String(repeating: "y", count: 500) + "\r\n\r\n", pieces: size) == "400")
    }

    @Test(arguments: [1, 7, 190, 10_000])
    func `a head with an error after the limit is rejected for its size, however it is split`(size: Int) throws {
        let head = "GET /v1/ws HTTP/1.1\r\nX: " + String(repeating: "y", count: 300) + "\r\nY: \u{8}\r\n\r\n"
        #expect(try status(head, pieces: size) == "431")
    }
}
