// SPDX-License-Identifier: Apache-2.0

/// The stages of a route in order: transcribe, respond and synthesize, or some of these.
package struct Chain: Sendable, Hashable {
    package struct Stage: Sendable, Hashable {
        package var role: UpstreamRole
        /// Whether the upstream accepts audio only as a complete recording, not as a stream.
        package var requiresRecording: Bool
        /// Whether Markdown is stripped from text before it is synthesized.
        package var stripsMarkdown: Bool

        package init(role: UpstreamRole, requiresRecording: Bool = false, stripsMarkdown: Bool = true) {
            self.role = role
            self.requiresRecording = requiresRecording
            self.stripsMarkdown = stripsMarkdown
        }
    }

    package var stages: [Stage]
    /// The limit in bytes of a recording that is collected for an upstream that doesn't accept streams.
    package var collectMaxBytes: Int
    /// Whether the request fails when a sentence can't be synthesized.
    package var requiresSpeech: Bool

    package init(_ stages: [Stage], collectMaxBytes: Int = .max, requiresSpeech: Bool = false) {
        self.stages = stages
        self.collectMaxBytes = collectMaxBytes
        self.requiresSpeech = requiresSpeech
    }
}
