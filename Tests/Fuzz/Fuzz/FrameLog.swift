// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import GatewayWebSocket
import NIOCore

/// The events that a `MessageReader` returns for bytes that arrive in pieces.
struct FrameLog: ~Copyable {
    enum Entry: Equatable {
        case text([UInt8])
        case binary([UInt8])
        case ping([UInt8])
        case pong([UInt8])
        case close(UInt16?, [UInt8])
        case error(WebSocketError)
    }

    private(set) var reader: MessageReader
    private(set) var entries: [Entry] = []
    /// The largest number of bytes that the reader held after a read.
    private(set) var peakBytes = 0

    init(role: WebSocketRole, limits: WebSocketLimits, compression: CompressionAgreement?) {
        reader = MessageReader(role: role, limits: limits, compression: compression.map { ($0, SharedDeflate()) })
    }

    mutating func feed(_ bytes: [UInt8]) {
        var buffer = ByteBuffer(bytes: bytes)
        do {
            while let event = try reader.next(in: &buffer) { record(event, in: buffer) }
        } catch {
            entries.append(.error(error))
        }
        require(buffer.readableBytes == 0 || !entries.isEmpty && isError, "all bytes are consumed, unless there is an error")
        peakBytes = max(peakBytes, reader.bufferedBytes)
    }

    private var isError: Bool { if case .error? = entries.last { true } else { false } }

    private mutating func record(_ event: WebSocketEvent, in buffer: borrowing ByteBuffer) {
        switch event {
        case .text(let payload): entries.append(.text(bytes(payload, in: buffer)))
        case .binary(let payload): entries.append(.binary(bytes(payload, in: buffer)))
        case .ping(let payload): entries.append(.ping(bytes(payload, in: buffer)))
        case .pong(let payload): entries.append(.pong(bytes(payload, in: buffer)))
        case .close(let code, let reason): entries.append(.close(code, bytes(reason, in: buffer)))
        }
    }

    private func bytes(_ payload: WebSocketEvent.Payload, in buffer: borrowing ByteBuffer) -> [UInt8] {
        let bytes = reader.withPayload(of: payload, in: buffer) { span in span.withUnsafeBytes { Array($0) } }
        require(bytes.count == payload.count, "a payload's length is its count")
        return bytes
    }
}
