// SPDX-License-Identifier: Apache-2.0

import NIOCore

@testable import GatewayServer
@testable import GatewayWebSocket

/// Malicious DEFLATE streams.
///
/// Invariants: The output doesn't exceed the limit, and zlib's memory is bounded. A shared stream retains no state between messages: a
/// valid message inflates after any other.
final class InflateTarget: FuzzTarget {
    /// `Hello` as deflated in RFC 7692 §7.2.3.1.
    private static let hello: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]

    func run(_ input: FuzzInput) {
        var input = input
        let keepsContext = input.bool()
        let windowBits = 8 + Int(input.byte()) % 8
        let limit = input.choose([0, 1, 100, 5_000, 300_000])
        guard let inflater = Inflater(windowBits: windowBits, keepsContext: keepsContext) else { return require(false, "zlib initializes") }
        for message in input.lengthPrefixed(scale: Int(input.byte()) & 3) {
            var output = ByteBuffer()
            var isRejected = false
            do throws(WebSocketError) {
                try message.withUnsafeBytesSpan { (span) throws(WebSocketError) in try inflater.inflate(span, limit: limit, into: &output) }
            } catch {
                isRejected = true
                require([.invalidDeflate, .inflatedMessageTooBig].contains(error), "\(error)")
            }
            require(isRejected || output.readableBytes <= limit, "the output doesn't exceed the limit")
            require(output.storageCapacity <= 4 * (limit + message.count) + 4096, "the output's memory is bounded by limit and input")
            require(inflater.byteCount <= 64 * 1024, "zlib's memory is bounded")
            // With context takeover, an error closes the connection.
            if isRejected, keepsContext { return }
        }
        guard !keepsContext else { return }
        var output = ByteBuffer()
        do throws(WebSocketError) {
            try Self.hello.withUnsafeBytesSpan { (span) throws(WebSocketError) in try inflater.inflate(span, limit: 5, into: &output) }
        } catch {
            require(false, "a shared stream retains no state: \(error)")
        }
        require(output == ByteBuffer(string: "Hello"), "a shared stream retains no state")
    }
}

extension [UInt8] {
    /// Calls `body`, which may throw, with the array's bytes.
    func withUnsafeBytesSpan<Result, Thrown: Error>(_ body: (RawSpan) throws(Thrown) -> Result) throws(Thrown) -> Result {
        try body(span.bytes)
    }
}
