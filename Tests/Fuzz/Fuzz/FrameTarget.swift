import GatewayCore
import GatewayServer
import GatewayWebSocket
import NIOCore

/// Frame headers and the assembly of messages.
///
/// Promises: one verdict whatever the pieces. A header that was refused stays refused when more bytes come. Nothing over the limits is
/// handed over or kept, texts are UTF-8, and after a close frame or an error comes nothing more.
final class FrameTarget: FuzzTarget {
    private static let limits = [
        WebSocketLimits(maxMessageBytes: 64, maxFragments: 4), WebSocketLimits(maxMessageBytes: 100_000, maxFragments: 1024),
        WebSocketLimits(maxMessageBytes: 0, maxFragments: 0),
    ]
    private static let agreements: [CompressionAgreement?] = [
        nil, CompressionAgreement(serverNoContextTakeover: true, clientNoContextTakeover: true),
        CompressionAgreement(
            serverNoContextTakeover: false, clientNoContextTakeover: false, serverMaxWindowBits: 9, clientMaxWindowBits: 8),
    ]

    func run(_ input: FuzzInput) {
        var input = input
        let role: WebSocketRole = input.bool() ? .client : .server
        let limits = input.choose(Self.limits)
        let agreement = input.choose(Self.agreements)
        let split = input.split()
        let bytes = input.bytes
        checkHeader(bytes, role: role, allowsCompression: agreement != nil)

        var whole = FrameLog(role: role, limits: limits, compression: agreement)
        whole.feed(bytes)
        var cut = FrameLog(role: role, limits: limits, compression: agreement)
        for piece in split.pieces(of: bytes) { cut.feed(piece) }
        require(whole.entries == cut.entries, "one verdict whatever the pieces: \(whole.entries) \(cut.entries)")
        check(whole, limits: limits, fed: bytes.count)
        check(cut, limits: limits, fed: bytes.count)
    }

    private func check(_ log: borrowing FrameLog, limits: WebSocketLimits, fed: Int) {
        for (index, entry) in log.entries.enumerated() {
            switch entry {
            case .text(let bytes):
                require(String(validating: bytes, as: UTF8.self) != nil, "a text is UTF-8")
                require(bytes.count <= limits.maxMessageBytes, "a message is within the limit")
            case .binary(let bytes): require(bytes.count <= limits.maxMessageBytes, "a message is within the limit")
            case .ping(let bytes), .pong(let bytes): require(bytes.count <= 125, "a control frame is short")
            case .close(let code, let reason):
                require(code.map(ClosePayload.isAllowed) ?? reason.isEmpty, "a close code may be sent")
                require(index == log.entries.count - 1 && log.reader.isFinished, "nothing after a close frame")
            case .error:
                require(index == log.entries.count - 1 && log.reader.isFinished, "nothing after an error")
            }
        }
        // Buffers grow by doubling; inflated messages are handed over before the reader is asked again.
        require(log.peakBytes <= 2 * fed + 1024 || log.peakBytes <= 4 * limits.maxMessageBytes, "nothing grows beyond what came")
        require(log.reader.deflateStateBytes <= 64 * 1024, "zlib holds a window and its state")
    }

    private func checkHeader(_ bytes: [UInt8], role: WebSocketRole, allowsCompression: Bool) {
        var decided: Result<FrameHeader, WebSocketError>?
        for count in 0...min(bytes.count, 20) {
            let outcome: Result<FrameHeader, WebSocketError>? = bytes.withRawSpan { span in
                do throws(WebSocketError) {
                    return try FrameHeader.parse(span.extracting(first: count), role: role, allowsCompression: allowsCompression).map {
                        .success($0)
                    }
                } catch {
                    return .failure(error)
                }
            }
            if let decided { require(outcome == decided, "a header doesn't change once it is whole") }
            if case .success(let header)? = outcome {
                require(header.byteCount <= count && header.payloadCount >= 0, "a header lies within its bytes")
            }
            require(outcome != nil || count < FrameHeader.maximumByteCount, "14 bytes decide")
            decided = outcome
        }
    }
}
