// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayWebSocket
import NIOCore

/// Measures frames: headers, unmasking, whole messages, compression.
func benchmarkWebSocket(_ stopwatch: Stopwatch) {
    benchmarkHeaders(stopwatch)
    for size in [640, 16_384] {
        var bytes = [UInt8](repeating: 7, count: size)
        let key = MaskingKey(littleEndian: 0x9E17_C35A)
        stopwatch.measure("unmasking: \(size) bytes", bytes: size) { count in
            bytes.withUnsafeMutableBytes { for _ in 0..<count { key.apply(to: $0, phase: 0) } }
        }
    }
    for (name, message, kind) in [
        ("text of 120", Samples.text, MessageKind.text), ("text of 16,000, mixed", Samples.long, .text),
        ("audio of 640", [UInt8](repeating: 7, count: 640), .binary),
    ] {
        benchmarkReader(stopwatch, name, message, kind)
    }
    benchmarkDeflate(stopwatch)
}

/// Returns a client's message as one masked frame.
private func frame(_ message: [UInt8], _ kind: MessageKind, compressed: SharedDeflate? = nil) -> ByteBuffer {
    var writer = MessageWriter(role: .client, compression: compressed.map { (withoutContext, $0) })
    var buffer = ByteBuffer()
    writer.write(kind, message.span.bytes, mayCompress: compressed != nil, to: &buffer)
    return buffer
}

private let withoutContext = CompressionAgreement(serverNoContextTakeover: true, clientNoContextTakeover: true)
private let withContext = CompressionAgreement(serverNoContextTakeover: false, clientNoContextTakeover: false)

/// Measures frames without payload, 1,000 of them in one read, so that only the headers matter.
private func benchmarkHeaders(_ stopwatch: Stopwatch) {
    let frames = 1000
    var read = ByteBuffer()
    for _ in 0..<frames {
        var one = frame([], .binary)
        read.writeBuffer(&one)
    }
    let start = read.readerIndex
    stopwatch.measure("frame headers: 1,000 in one read, per header", bytes: 0) { count in
        for _ in 0..<max(1, count / frames) {
            var parser = FrameParser(role: .server, allowsCompression: false)
            read.moveReaderIndex(to: start)
            do throws(WebSocketError) {
                while let header = try parser.next(in: &read) { consume(header.payloadCount) }
            } catch {
                return stop("a frame was rejected: \(error)")
            }
        }
    }
}

/// Measures the complete processing of a message by the reader: header, unmasking, UTF-8.
private func benchmarkReader(_ stopwatch: Stopwatch, _ name: String, _ message: [UInt8], _ kind: MessageKind, compressed: Bool = false) {
    let shared = SharedDeflate()
    let original = frame(message, kind, compressed: compressed ? shared : nil)
    var read = original
    let title = compressed ? "reader, inflating: \(name), \(original.readableBytes) bytes compressed" : "reader: \(name)"
    stopwatch.measure(title, bytes: message.count) { count in
        let limits = WebSocketLimits(maxMessageBytes: 2_000_000, maxFragments: 1024)
        var reader = MessageReader(role: .server, limits: limits, compression: compressed ? (withoutContext, shared) : nil)
        for _ in 0..<count {
            // Unmasking happens in place, so the received bytes are restored for each operation.
            read.clear()
            read.writeImmutableBuffer(original)
            do throws(WebSocketError) {
                guard let event = try reader.next(in: &read) else { return stop("\(name) was incomplete") }
                consume(event)
            } catch {
                return stop("\(name) was rejected: \(error)")
            }
        }
    }
}

private func benchmarkDeflate(_ stopwatch: Stopwatch) {
    let shared = SharedDeflate()
    for (kind, agreement) in [("shared", withoutContext), ("dedicated", withContext)] {
        for (name, message) in [("response of 350", Samples.response), ("text of 16,000, mixed", Samples.long)] {
            var writer = MessageWriter(role: .server, compression: (agreement, shared))
            var output = ByteBuffer()
            writer.write(.text, message.span.bytes, mayCompress: true, to: &output)
            let title = "deflate, \(kind): \(message.count) bytes to \(output.readableBytes)"
            stopwatch.measure(title, bytes: message.count) { count in
                for _ in 0..<count {
                    output.clear()
                    writer.write(.text, message.span.bytes, mayCompress: true, to: &output)
                    consume(output.readableBytes)
                }
            }
            if name.contains("16,000"), kind == "shared" { benchmarkReader(stopwatch, name, message, .text, compressed: true) }
        }
    }
}
