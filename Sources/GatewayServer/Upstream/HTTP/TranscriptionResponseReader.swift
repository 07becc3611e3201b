// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOHTTP1

/// Parses responses of `openai` transcription upstreams: JSON with the text, or plain text.
final class TranscriptionResponseReader: ResponseReader {
    private var body: CollectedBody
    private var mayBePlain = false

    init(limit: Int) { body = CollectedBody(limit: limit) }

    func begin(_ headers: HTTPHeaders) throws(CallFailure) {
        // JSON is recognized by its first byte under any type. Plain text requires its type: an HTML page isn't a transcript.
        let type = headers.mediaType
        mayBePlain = type == nil || type == "text/plain"
    }

    func receive(_ bytes: RawSpan, _ emit: (ResponseStream.Step) -> Void) throws(CallFailure) { try body.receive(bytes) }

    func end(_ emit: (ResponseStream.Step) -> Void) throws(CallFailure) {
        let response = try body.read { (bytes) throws(ResponseFault) in try TranscriptionResponse(bytes, mayBePlain: mayBePlain) }
        emit(
            .last(.transcript(response.text, final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil), ResponseSummary())
        )
    }
}
