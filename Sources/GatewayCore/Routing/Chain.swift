/// The stages of a route, in the order in which they work: transcribe, respond, synthesize, or any part of that.
package struct Chain: Sendable, Hashable {
    package struct Stage: Sendable, Hashable {
        package var role: UpstreamRole
        /// Whether the upstream is given audio as a whole, and not as it comes.
        package var takesRecordings: Bool
        /// Whether Markdown is stripped from text before it is synthesized.
        package var stripsMarkdown: Bool

        package init(role: UpstreamRole, takesRecordings: Bool = false, stripsMarkdown: Bool = true) {
            self.role = role
            self.takesRecordings = takesRecordings
            self.stripsMarkdown = stripsMarkdown
        }
    }

    package var stages: [Stage]
    /// Bytes of audio that are collected for an upstream that takes recordings.
    package var collectMaxBytes: Int
    /// Whether a sentence that can't be synthesized fails the request.
    package var failsWithSpeech: Bool

    package init(_ stages: [Stage], collectMaxBytes: Int = .max, failsWithSpeech: Bool = false) {
        self.stages = stages
        self.collectMaxBytes = collectMaxBytes
        self.failsWithSpeech = failsWithSpeech
    }
}
