// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket
import NIOCore

/// Feeds a reader with bytes and records its events as comparable values.
struct Transcript: ~Copyable {
    enum Entry: Equatable {
        case text([UInt8])
        case binary([UInt8])
        case ping([UInt8])
        case pong([UInt8])
        case close(UInt16?, [UInt8])
        case error(WebSocketError)

        static func text(_ string: String) -> Entry { .text(Array(string.utf8)) }
    }

    private var reader: MessageReader
    private(set) var entries: [Entry] = []
    /// Whether each message was compressed.
    private(set) var compressed: [Bool] = []
    /// The maximum of the reader's buffered bytes after each read.
    private(set) var peakBufferedBytes = 0

    init(
        role: WebSocketRole = .server, maxMessageBytes: Int = 1 << 20, maxFragments: Int = 1024,
        compression: CompressionAgreement? = nil, shared: SharedDeflate = SharedDeflate()
    ) {
        reader = MessageReader(
            role: role, limits: WebSocketLimits(maxMessageBytes: maxMessageBytes, maxFragments: maxFragments),
            compression: compression.map { ($0, shared) })
    }

    var bufferedBytes: Int { reader.bufferedBytes }
    var deflateStateBytes: Int { reader.deflateStateBytes }
    var isFinished: Bool { reader.isFinished }

    var canSkip: Bool { reader.canSkip }
    var skipsCompressed: Bool {
        get { reader.skipsCompressed }
        set { reader.skipsCompressed = newValue }
    }

    var skipsCompressedBinary: Bool {
        get { reader.skipsCompressedBinary }
        set { reader.skipsCompressedBinary = newValue }
    }

    mutating func takeSkipped() -> Int { reader.takeSkipped().count }

    mutating func discardMessages() { reader.discardMessages() }

    mutating func feed(_ bytes: [UInt8]) {
        var buffer = ByteBuffer(bytes: bytes)
        do {
            while let event = try reader.next(in: &buffer) { record(event, in: buffer) }
        } catch {
            entries.append(.error(error))
        }
        peakBufferedBytes = max(peakBufferedBytes, reader.bufferedBytes)
    }

    private mutating func record(_ event: WebSocketEvent, in buffer: ByteBuffer) {
        func bytes(_ payload: WebSocketEvent.Payload) -> [UInt8] {
            reader.withPayload(of: payload, in: buffer) { span in
                (0..<span.byteCount).map { span.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
            }
        }
        switch event {
        case .text(let payload):
            entries.append(.text(bytes(payload)))
            compressed.append(payload.wasCompressed)
        case .binary(let payload):
            entries.append(.binary(bytes(payload)))
            compressed.append(payload.wasCompressed)
        case .ping(let payload): entries.append(.ping(bytes(payload)))
        case .pong(let payload): entries.append(.pong(bytes(payload)))
        case .close(let code, let reason): entries.append(.close(code, bytes(reason)))
        }
    }

    /// Returns the events of a reader for these pieces.
    static func entries(_ pieces: [[UInt8]], role: WebSocketRole = .server, maxMessageBytes: Int = 1 << 20, maxFragments: Int = 1024)
        -> [Entry]
    {
        var transcript = Transcript(role: role, maxMessageBytes: maxMessageBytes, maxFragments: maxFragments)
        for piece in pieces { transcript.feed(piece) }
        return transcript.entries
    }

    static func entries(_ bytes: [UInt8], role: WebSocketRole = .server, maxMessageBytes: Int = 1 << 20, maxFragments: Int = 1024)
        -> [Entry]
    {
        entries([bytes], role: role, maxMessageBytes: maxMessageBytes, maxFragments: maxFragments)
    }
}
