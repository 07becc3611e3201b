/// What an upstream answers to a request.
package struct UpstreamEvent: Sendable {
    package enum Content: Sendable {
        /// A delta, or with `final` the last piece of a text. Valid UTF-8, may be empty.
        case text([UInt8], final: Bool)
        case transcript([UInt8], final: Bool, confidence: Double?, startMilliseconds: Int64?, endMilliseconds: Int64?)
        /// An audio answer begins; chunks follow, then their end. One at a time.
        case audio(AudioFormat)
        case audioChunk([UInt8])
        case audioEnd(AudioFormat)
        case status(String, progress: Double?)
        /// The request failed: nothing follows.
        case failure(ErrorCode, message: String, retryAfterMilliseconds: Int64?)
    }

    package var request: RequestKey
    package var content: Content
    /// Whether this is the request's last event; a failure always is.
    package var isLast: Bool

    package init(_ request: RequestKey, _ content: Content, isLast: Bool = false) {
        self.request = request
        self.content = content
        self.isLast = isLast
    }
}
