/// One turn of the conversation before a request, as a chat model is told it.
package struct ConversationLine: Sendable, Hashable {
    package var speaker: History.Speaker
    /// What was said; of an answer, what of it was heard.
    package var text: [UInt8]

    package init(_ speaker: History.Speaker, _ text: [UInt8]) {
        self.speaker = speaker
        self.text = text
    }
}
