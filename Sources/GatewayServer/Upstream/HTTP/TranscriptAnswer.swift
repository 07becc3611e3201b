import GatewayCore
import NIOHTTP1

/// Parses responses of `openai` transcription upstreams: JSON with the text, or plain text.
final class TranscriptAnswer: AnswerReader {
    private var body: CollectedBody
    private var mayBePlain = false

    init(limit: Int) { body = CollectedBody(limit: limit) }

    func begin(_ headers: HTTPHeaders) throws(CallFailure) {
        // JSON is recognized by its first byte under any type. Plain text requires its type: an HTML page isn't a transcript.
        let type = headers.mediaType
        mayBePlain = type == nil || type == "text/plain"
    }

    func take(_ bytes: RawSpan, _ emit: (AnswerStream.Step) -> Void) throws(CallFailure) { try body.take(bytes) }

    func end(_ emit: (AnswerStream.Step) -> Void) throws(CallFailure) {
        let response = try body.read { (bytes) throws(AnswerFault) in try TranscriptionAnswer(bytes, mayBePlain: mayBePlain) }
        emit(.last(.transcript(response.text, final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil), AnswerSummary()))
    }
}
