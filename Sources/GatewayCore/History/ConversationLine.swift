/// One turn of the conversation before a request, as the history has it.
package struct ConversationLine: Sendable, Hashable {
    package var speaker: History.Speaker
    /// What was said; of an answer, what of it was heard.
    package var text: [UInt8]
    /// The request that it belongs to.
    package var request: RequestKey
    /// The answer to that request broke off.
    package var isBrokenOff: Bool

    package init(_ speaker: History.Speaker, _ text: [UInt8], request: RequestKey = RequestKey(number: 0), isBrokenOff: Bool = false) {
        self.speaker = speaker
        self.text = text
        self.request = request
        self.isBrokenOff = isBrokenOff
    }
}
