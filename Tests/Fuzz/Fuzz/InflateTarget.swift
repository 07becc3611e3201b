import NIOCore

@testable import GatewayServer
@testable import GatewayWebSocket

/// Hostile DEFLATE.
///
/// Promises: never more than the limit comes out, zlib's memory has a bound, and where streams are shared no message leaves anything
/// behind: a good one still inflates after it.
final class InflateTarget: FuzzTarget {
    /// `Hello` as RFC 7692 §7.2.3.1 deflates it.
    private static let hello: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]

    func run(_ input: FuzzInput) {
        var input = input
        let keepsContext = input.bool()
        let windowBits = 8 + Int(input.byte()) % 8
        let limit = input.choose([0, 1, 100, 5_000, 300_000])
        guard let inflater = Inflater(windowBits: windowBits, keepsContext: keepsContext) else { return require(false, "zlib has memory") }
        for message in input.measured(scale: Int(input.byte()) & 3) {
            var output = ByteBuffer()
            var isRefused = false
            do throws(WebSocketError) {
                try message.withUnsafeBytesSpan { (span) throws(WebSocketError) in try inflater.inflate(span, limit: limit, into: &output) }
            } catch {
                isRefused = true
                require([.invalidDeflate, .inflatedMessageTooBig].contains(error), "\(error)")
            }
            require(isRefused || output.readableBytes <= limit, "no more than the limit comes out")
            require(output.storageCapacity <= 4 * (limit + message.count) + 4096, "no bomb costs more than the limit")
            require(inflater.byteCount <= 64 * 1024, "zlib holds a window and its state")
            // With context taken over, an error ends the connection.
            if isRefused, keepsContext { return }
        }
        guard !keepsContext else { return }
        var output = ByteBuffer()
        do throws(WebSocketError) {
            try Self.hello.withUnsafeBytesSpan { (span) throws(WebSocketError) in try inflater.inflate(span, limit: 5, into: &output) }
        } catch {
            require(false, "a shared stream forgets: \(error)")
        }
        require(output == ByteBuffer(string: "Hello"), "a shared stream forgets")
    }
}

extension [UInt8] {
    /// Lends all bytes to what may throw.
    func withUnsafeBytesSpan<Result, Thrown: Error>(_ body: (RawSpan) throws(Thrown) -> Result) throws(Thrown) -> Result {
        try body(span.bytes)
    }
}
