// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOHTTP1

/// Parses responses of `openai` speech upstreams: one or more WAV files, recognized by their first bytes whatever the `Content-Type`.
final class SpeechResponseReader: ResponseReader {
    private var wav = WAVStream()
    private var format: AudioFormat?

    func begin(_ headers: HTTPHeaders) throws(CallFailure) {}

    func receive(_ bytes: RawSpan, _ emit: (ResponseStream.Step) -> Void) throws(CallFailure) {
        do throws(ResponseFault) {
            try wav.receive(bytes) { self.emit($0, emit) }
        } catch {
            throw CallFailure(error)
        }
    }

    func end(_ emit: (ResponseStream.Step) -> Void) throws(CallFailure) {
        wav.finish { self.emit($0, emit) }
        guard let format else { throw .incompleteResponse("the WAV file ended before its samples") }
        emit(.last(.audioEnd(format), ResponseSummary()))
    }

    private func emit(_ piece: WAVStream.Piece, _ emit: (ResponseStream.Step) -> Void) {
        switch piece {
        case .format(let next):
            if let format { emit(.event(.audioEnd(format))) }
            format = next
            emit(.event(.audio(next)))
        case .samples(let samples):
            guard let format else { return }
            ResponseStream.cut(samples, format: format) { emit(.event(.audioChunk($0))) }
        }
    }
}
