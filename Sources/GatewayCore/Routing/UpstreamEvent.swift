// SPDX-License-Identifier: Apache-2.0

/// An event of the response to a request.
package struct UpstreamEvent: Sendable {
    package enum Content: Sendable {
        /// A delta of a text; the last delta has `final`. Valid UTF-8, may be empty.
        case text([UInt8], final: Bool)
        /// A delta of a text for a client that requested only audio: added to the conversation, but not sent to the client. Valid UTF-8.
        case unsentText([UInt8])
        case transcript([UInt8], final: Bool, confidence: Double?, startMilliseconds: Int64?, endMilliseconds: Int64?)
        /// The start of an audio output; its chunks follow, then ``audioEnd(_:)``. Outputs don't overlap.
        case audio(AudioFormat)
        case audioChunk([UInt8])
        case audioEnd(AudioFormat)
        /// A sentence of a spoken response is complete: its audio and its text of this many characters. Not sent to the client.
        case sentence(characters: Int)
        /// - `bytes`: bytes of the model's reasoning so far, as a sign of progress
        case status(String, progress: Double?, bytes: Int? = nil)
        /// The request failed; no event follows.
        ///
        /// - `isRetryable`: nil for the default of the code
        case failure(ErrorReason, retryAfterMilliseconds: Int64?, isRetryable: Bool? = nil)

        /// The approximate size in bytes when sent to the client.
        package var byteCount: Int {
            switch self {
            case .text(let text, _), .unsentText(let text), .transcript(let text, _, _, _, _): text.count
            case .audioChunk(let chunk): chunk.count
            case .audio, .audioEnd, .sentence, .status, .failure: 64
            }
        }
    }

    /// The additional members of the message that ends a request.
    package struct Epilogue: Sendable, Hashable {
        package var usage: Usage?
        /// The part of ``usage`` that the transcribe stage reported.
        package var transcribeUsage: Usage?
        package var timing: CallTiming?
        /// Nil when the upstream doesn't report it, which counts as ``FinishReason/stop``.
        package var finish: FinishReason?
        /// The correlation id of the failure's log line.
        package var correlationID: ULID?
        /// Nil when all sentences were synthesized, and without a synthesize stage.
        package var speech: Speech?

        /// Whether some or all sentences lack their audio.
        package enum Speech: String, Sendable, Hashable {
            case partial, failed
        }

        package init(usage: Usage? = nil, timing: CallTiming? = nil, finish: FinishReason? = nil, correlationID: ULID? = nil) {
            self.usage = usage
            self.timing = timing
            self.finish = finish
            self.correlationID = correlationID
        }
    }

    package var request: RequestKey
    package var content: Content
    /// Whether this is the request's last event; a failure always is.
    package var isLast: Bool
    package var epilogue: Epilogue?

    package init(_ request: RequestKey, _ content: Content, isLast: Bool = false, epilogue: Epilogue? = nil) {
        self.request = request
        self.content = content
        self.isLast = isLast
        self.epilogue = epilogue
    }
}
