// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import GatewayWebSocket
import NIOCore

/// Frame headers and the assembly of messages.
///
/// Invariants: The result doesn't depend on how the bytes are split. The verdict on a header doesn't change when more bytes arrive. Nothing
/// above the limits is delivered or held, texts are UTF-8, and nothing follows a close frame or an error.
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
        var inPieces = FrameLog(role: role, limits: limits, compression: agreement)
        for piece in split.pieces(of: bytes) { inPieces.feed(piece) }
        require(whole.entries == inPieces.entries, "the result doesn't depend on the split: \(whole.entries) \(inPieces.entries)")
        check(whole, limits: limits, fed: bytes.count)
        check(inPieces, limits: limits, fed: bytes.count)
    }

    private func check(_ log: borrowing FrameLog, limits: WebSocketLimits, fed: Int) {
        for (index, entry) in log.entries.enumerated() {
            switch entry {
            case .text(let bytes):
                require(String(validating: bytes, as: UTF8.self) != nil, "a text is UTF-8")
                require(bytes.count <= limits.maxMessageBytes, "a message doesn't exceed the limit")
            case .binary(let bytes): require(bytes.count <= limits.maxMessageBytes, "a message doesn't exceed the limit")
            case .ping(let bytes), .pong(let bytes): require(bytes.count <= 125, "a control frame has at most 125 bytes")
            case .close(let code, let reason):
                require(code.map(ClosePayload.isAllowed) ?? reason.isEmpty, "the close code is allowed")
                require(index == log.entries.count - 1 && log.reader.isFinished, "nothing follows a close frame")
            case .error:
                require(index == log.entries.count - 1 && log.reader.isFinished, "nothing follows an error")
            }
        }
        // Buffers grow by doubling; an inflated message is delivered before the next read.
        require(log.peakBytes <= 2 * fed + 1024 || log.peakBytes <= 4 * limits.maxMessageBytes, "the buffer is bounded by input or limit")
        require(log.reader.deflateStateBytes <= 64 * 1024, "zlib's memory is bounded")
    }

    private func checkHeader(_ bytes: [UInt8], role: WebSocketRole, allowsCompression: Bool) {
        var verdict: Result<FrameHeader, WebSocketError>?
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
            if let verdict { require(outcome == verdict, "the verdict on a header is final") }
            if case .success(let header)? = outcome {
                require(header.byteCount <= count && header.payloadCount >= 0, "a header isn't longer than its bytes")
            }
            require(outcome != nil || count < FrameHeader.maximumByteCount, "14 bytes suffice for a verdict")
            verdict = outcome
        }
    }
}
