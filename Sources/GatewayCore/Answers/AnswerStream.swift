/// The order of the messages that answer one request: turns them into events, and says where one is out of place.
package struct AnswerStream: Sendable {
    package enum Step: Sendable {
        case event(UpstreamEvent.Content)
        /// The answer is complete with this.
        case last(UpstreamEvent.Content, AnswerSummary)
        case failed(retryable: Bool?, retryAfterMilliseconds: Int64?)
        /// So many bytes of audio follow.
        case chunk(bytes: Int)
    }

    /// Audio goes to clients in pieces of this size, but for what came as a piece.
    static let pieceBytes = 16_384

    private var format: AudioFormat?
    private var isOver = false

    package init() {}

    /// - Parameter pass: is handed what the message comes to, in order
    package mutating func take(_ message: consuming AnswerMessage, _ pass: (Step) -> Void) throws(AnswerFault) {
        guard !isOver else { throw AnswerFault("there is something behind the end of the answer") }
        let (isDone, summary) = (message.isDone, message.summary)
        func put(_ content: UpstreamEvent.Content) { pass(isDone ? .last(content, summary) : .event(content)) }
        switch message.body {
        case .failure(let retryable, let retryAfter):
            isOver = true
            return pass(.failed(retryable: retryable, retryAfterMilliseconds: retryAfter))
        case .chunk(let bytes):
            guard format != nil, !isDone else { throw AnswerFault("a chunk without audio that it belongs to") }
            return pass(.chunk(bytes: bytes))
        case .audioBegin(let format):
            guard self.format == nil, !isDone else { throw AnswerFault("audio begins within audio") }
            self.format = format
            put(.audio(format))
        case .audioEnd:
            guard let format else { throw AnswerFault("audio ends that hasn't begun") }
            self.format = nil
            put(.audioEnd(format))
        case .recording(let format, let bytes):
            guard self.format == nil else { throw AnswerFault("audio begins within audio") }
            pass(.event(.audio(format)))
            Self.cut(bytes, format: format) { pass(.event(.audioChunk($0))) }
            put(.audioEnd(format))
        case .event(let content):
            if isDone, let format {
                self.format = nil
                pass(.event(.audioEnd(format)))
            }
            put(content)
        }
        isOver = isDone
    }

    /// A chunk of the audio that is open.
    package func take(chunk: [UInt8]) throws(AnswerFault) -> UpstreamEvent.Content {
        guard !isOver, let format else { throw AnswerFault("a chunk without audio that it belongs to") }
        guard !chunk.isEmpty, chunk.count % format.frameBytes == 0 else { throw AnswerFault("a chunk doesn't hold whole samples") }
        return .audioChunk(chunk)
    }

    /// Pieces of whole samples.
    package static func cut(_ bytes: [UInt8], format: AudioFormat, _ pass: ([UInt8]) -> Void) {
        let size = pieceBytes / format.frameBytes * format.frameBytes
        var start = 0
        while start < bytes.count {
            let end = min(start + size, bytes.count)
            pass(Array(bytes[start..<end]))
            start = end
        }
    }
}
