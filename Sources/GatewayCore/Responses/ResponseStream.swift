// SPDX-License-Identifier: Apache-2.0

/// A converter of the messages of one response to events, which rejects messages that are out of order.
package struct ResponseStream: Sendable {
    package enum Step: Sendable {
        case event(UpstreamEvent.Content)
        /// The last content of the response.
        case last(UpstreamEvent.Content, ResponseSummary)
        case failed(retryable: Bool?, retryAfterMilliseconds: Int64?)
        /// This many bytes of audio follow.
        case chunk(bytes: Int)
    }

    /// The maximum size in bytes of the chunks that recordings are split into.
    static let chunkBytes = 16_384

    private var format: AudioFormat?
    private var isEnded = false

    package init() {}

    /// Converts a message.
    ///
    /// - Parameter emit: called with each step, in order
    /// - Throws: when the message is out of order
    package mutating func receive(_ message: consuming UpstreamMessage, _ emit: (Step) -> Void) throws(ResponseFault) {
        guard !isEnded else { throw ResponseFault("a message after the end of the response") }
        let (isDone, summary) = (message.isDone, message.summary)
        func emitContent(_ content: UpstreamEvent.Content) { emit(isDone ? .last(content, summary) : .event(content)) }
        switch message.body {
        case .failure(let retryable, let retryAfter):
            isEnded = true
            return emit(.failed(retryable: retryable, retryAfterMilliseconds: retryAfter))
        case .chunk(let bytes):
            guard format != nil, !isDone else { throw ResponseFault("a chunk outside of an audio output") }
            return emit(.chunk(bytes: bytes))
        case .audioBegin(let format):
            guard self.format == nil, !isDone else { throw ResponseFault("audio begins within audio") }
            self.format = format
            emitContent(.audio(format))
        case .audioEnd:
            guard let format else { throw ResponseFault("audio ends before it begins") }
            self.format = nil
            emitContent(.audioEnd(format))
        case .recording(let format, let bytes):
            guard self.format == nil else { throw ResponseFault("audio begins within audio") }
            emit(.event(.audio(format)))
            Self.cut(bytes, format: format) { emit(.event(.audioChunk($0))) }
            emitContent(.audioEnd(format))
        case .event(let content):
            if isDone, let format {
                self.format = nil
                emit(.event(.audioEnd(format)))
            }
            emitContent(content)
        }
        isEnded = isDone
    }

    /// Converts a chunk of the current audio.
    package func receive(chunk: [UInt8]) throws(ResponseFault) -> UpstreamEvent.Content {
        guard !isEnded, let format else { throw ResponseFault("a chunk outside of an audio output") }
        guard !chunk.isEmpty, chunk.count % format.frameBytes == 0 else { throw ResponseFault("a chunk doesn't contain whole samples") }
        return .audioChunk(chunk)
    }

    /// Splits audio into chunks of whole samples, at most ``chunkBytes`` each.
    package static func cut(_ bytes: [UInt8], format: AudioFormat, _ emit: ([UInt8]) -> Void) {
        let size = chunkBytes / format.frameBytes * format.frameBytes
        var start = 0
        while start < bytes.count {
            let end = min(start + size, bytes.count)
            emit(Array(bytes[start..<end]))
            start = end
        }
    }
}
