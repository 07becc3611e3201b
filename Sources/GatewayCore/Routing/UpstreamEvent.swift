/// What an upstream answers to a request.
package struct UpstreamEvent: Sendable {
    package enum Content: Sendable {
        /// A delta, or with `final` the last piece of a text. Valid UTF-8, may be empty.
        case text([UInt8], final: Bool)
        /// A delta of a text that the client asked to hear only: kept for the conversation, not sent. Valid UTF-8.
        case unsentText([UInt8])
        case transcript([UInt8], final: Bool, confidence: Double?, startMilliseconds: Int64?, endMilliseconds: Int64?)
        /// An audio answer begins; chunks follow, then their end. One at a time.
        case audio(AudioFormat)
        case audioChunk([UInt8])
        case audioEnd(AudioFormat)
        /// - `bytes`: of a model that thinks, bytes of its reasoning so far: a sign of life
        case status(String, progress: Double?, bytes: Int? = nil)
        /// The request failed: nothing follows.
        ///
        /// - `isRetryable`: nil leaves it to the code
        case failure(ErrorReason, retryAfterMilliseconds: Int64?, isRetryable: Bool? = nil)

        /// Bytes of what a client will read of it.
        package var byteCount: Int {
            switch self {
            case .text(let text, _), .unsentText(let text), .transcript(let text, _, _, _, _): text.count
            case .audioChunk(let chunk): chunk.count
            case .audio, .audioEnd, .status, .failure: 64
            }
        }
    }

    /// What the message that ends a request tells beside its content.
    package struct Epilogue: Sendable, Hashable {
        package var usage: Usage?
        package var timing: CallTiming?
        /// Nil where the upstream doesn't say: ``FinishReason/stop``.
        package var finish: FinishReason?
        /// The correlation id under which the log has the failure.
        package var correlationID: ULID?
        /// Nil where every sentence has its sound, and where nothing is spoken.
        package var speech: Speech?

        /// How much of a spoken answer is without its sound.
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
