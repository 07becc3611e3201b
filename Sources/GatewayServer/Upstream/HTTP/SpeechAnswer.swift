import GatewayCore
import NIOHTTP1

/// `openai`, speech: WAV files as they arrive. Their first bytes identify them, whatever the `Content-Type`.
final class SpeechAnswer: AnswerReader {
    private var wav = WAVStream()
    private var format: AudioFormat?

    func begin(_ headers: HTTPHeaders) throws(CallFailure) {}

    func take(_ bytes: RawSpan, _ pass: (AnswerStream.Step) -> Void) throws(CallFailure) {
        do throws(AnswerFault) {
            try wav.take(bytes) { self.pass($0, pass) }
        } catch {
            throw CallFailure(error)
        }
    }

    func end(_ pass: (AnswerStream.Step) -> Void) throws(CallFailure) {
        wav.finish { self.pass($0, pass) }
        guard let format else { throw .brokenOff("the WAV file ends before its samples") }
        pass(.last(.audioEnd(format), AnswerSummary()))
    }

    private func pass(_ piece: WAVStream.Piece, _ pass: (AnswerStream.Step) -> Void) {
        switch piece {
        case .format(let next):
            if let format { pass(.event(.audioEnd(format))) }
            format = next
            pass(.event(.audio(next)))
        case .samples(let samples):
            guard let format else { return }
            AnswerStream.cut(samples, format: format) { pass(.event(.audioChunk($0))) }
        }
    }
}
