import GatewayCore
import NIOHTTP1

/// `openai`, transcription: JSON with the text, or the text itself.
final class TranscriptAnswer: AnswerReader {
    private var body: CollectedBody
    private var mayBePlain = false

    init(limit: Int) { body = CollectedBody(limit: limit) }

    func begin(_ headers: HTTPHeaders) throws(CallFailure) {
        // The first byte identifies JSON under any type. Plain text needs its type: an HTML page isn't a transcript.
        let type = headers.mediaType
        mayBePlain = type == nil || type == "text/plain"
    }

    func take(_ bytes: RawSpan, _ pass: (AnswerStream.Step) -> Void) throws(CallFailure) { try body.take(bytes) }

    func end(_ pass: (AnswerStream.Step) -> Void) throws(CallFailure) {
        let answer = try body.read { (bytes) throws(AnswerFault) in try TranscriptionAnswer(bytes, mayBePlain: mayBePlain) }
        pass(.last(.transcript(answer.text, final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil), AnswerSummary()))
    }
}
