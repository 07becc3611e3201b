// SPDX-License-Identifier: Apache-2.0

extension UpstreamCommand {
    /// Returns the command as a message between nodes.
    ///
    /// - Parameter audio: the buffer that audio commands refer to by range
    package func record(audio: [UInt8]) -> [UInt8] {
        var record = [UpstreamMessageVersion.current]
        switch self {
        case .start(let request):
            record.append(UInt8(0))
            request.appendAll(to: &record)
        case .audio(let key, let chunk):
            record.reserveCapacity(16 + chunk.count)
            record.append(UInt8(1))
            record.append(key: key)
            // A range outside the buffer is a fault of the caller; the message then has an empty chunk.
            let isInside = chunk.lowerBound >= 0 && chunk.upperBound <= audio.count
            let bytes = isInside ? audio[chunk] : []
            record.append(fixed: UInt32(truncatingIfNeeded: bytes.count))
            record.append(contentsOf: bytes)
        case .audioEnd(let key):
            record.append(UInt8(2))
            record.append(key: key)
        case .cancel(let key, let played):
            record.append(UInt8(3))
            record.append(key: key)
            record.append(perhaps: played) { $0.append(integer: $1) }
        case .clientState(let state, let replyTo, let played):
            record.append(UInt8(4))
            record.append(text: state.rawValue)
            record.append(perhaps: replyTo) { $0.append(counted: $1) }
            record.append(perhaps: played) { $0.append(integer: $1) }
        }
        return record
    }

    /// Reads a command and the audio that it refers to.
    package static func read(_ record: [UInt8]) throws(RecordError) -> (command: UpstreamCommand, audio: [UInt8]) {
        var reader = RecordReader(record)
        guard try reader.fixed(UInt8.self) == UpstreamMessageVersion.current else { throw RecordError() }
        var audio: [UInt8] = []
        let command: UpstreamCommand
        switch try reader.fixed(UInt8.self) {
        case 0: command = .start(try UpstreamRequest(all: &reader))
        case 1:
            let key = try reader.key()
            audio = try reader.counted()
            command = .audio(key, chunk: 0..<audio.count)
        case 2: command = .audioEnd(try reader.key())
        case 3:
            let key = try reader.key()
            command = .cancel(key, playedMilliseconds: try reader.perhaps { reader throws(RecordError) in try reader.integer() })
        case 4:
            guard let state = ClientMessage.Status.State(rawValue: try reader.text()) else { throw RecordError() }
            let replyTo = try reader.perhaps { reader throws(RecordError) in try reader.id() }
            let played = try reader.perhaps { reader throws(RecordError) in try reader.integer() }
            command = .clientState(state, replyTo: replyTo, playedMilliseconds: played)
        default: throw RecordError()
        }
        try reader.expectEnd()
        return (command, audio)
    }
}

extension UpstreamRequest {
    /// Maximum number of lines of a conversation in a message.
    private static let maximumLines = 10_000

    /// Appends the whole request: what the store has, and what only memory has.
    fileprivate func appendAll(to record: inout [UInt8]) {
        var stored: [UInt8] = []
        append(to: &stored)
        record.append(key: key)
        record.append(counted: stored)
        if case .recording(_, let bytes) = input { record.append(optional: bytes) } else { record.append(optional: nil) }
        record.append(perhaps: origin) {
            $1.connection.append(to: &$0)
            $0.append(flag: $1.joinsClient)
        }
        record.append(perhaps: trace) { $1.append(to: &$0) }
        record.append(ulid: session)
        record.append(text: route)
        record.append(fixed: UInt32(truncatingIfNeeded: conversation.count))
        for line in conversation {
            record.append(line.speaker.rawValue)
            record.append(counted: line.text)
            record.append(key: line.request)
            record.append(flag: line.isIncomplete)
        }
        record.append(counted: whisper)
    }

    fileprivate init(all reader: inout RecordReader) throws(RecordError) {
        let key = try reader.key()
        let stored = try UpstreamRequest(key: key, record: try reader.counted())
        var input = stored.input
        if let bytes = try reader.perhaps({ reader throws(RecordError) in try reader.counted() }) {
            guard case .audio(let format) = input else { throw RecordError() }
            input = .recording(format, bytes)
        }
        let origin = try reader.perhaps { reader throws(RecordError) in
            let connection = try TraceContext(&reader)
            return TraceOrigin(connection: connection, joinsClient: try reader.bool())
        }
        self.init(
            key: key, id: stored.id, input: input, lang: stored.lang, stream: stored.stream, output: stored.output, meta: stored.meta,
            path: stored.path, access: stored.access, origin: origin)
        trace = try reader.perhaps { reader throws(RecordError) in try TraceContext(&reader) }
        session = try reader.ulid()
        route = try reader.text()
        let count = Int(try reader.fixed(UInt32.self))
        guard count <= Self.maximumLines else { throw RecordError() }
        var lines: [ConversationLine] = []
        for _ in 0..<count {
            guard let speaker = History.Speaker(rawValue: try reader.fixed()) else { throw RecordError() }
            let text = try reader.counted()
            let request = try reader.key()
            lines.append(ConversationLine(speaker, text, request: request, isIncomplete: try reader.bool()))
        }
        conversation = lines
        whisper = try reader.counted()
    }
}

extension TraceContext {
    fileprivate func append(to record: inout [UInt8]) {
        record.append(fixed: high)
        record.append(fixed: low)
        record.append(fixed: span)
        record.append(flag: isSampled)
    }

    fileprivate init(_ reader: inout RecordReader) throws(RecordError) {
        let (high, low, span): (UInt64, UInt64, UInt64) = (try reader.fixed(), try reader.fixed(), try reader.fixed())
        guard high | low != 0, span != 0 else { throw RecordError() }
        self.init(high: high, low: low, span: span, isSampled: try reader.bool())
    }
}
