// SPDX-License-Identifier: Apache-2.0

/// A line of the conversation before a request: a text or transcript from the history.
package struct ConversationLine: Sendable, Hashable {
    package var speaker: History.Speaker
    /// The text; for a spoken response that was cut off, only the played part.
    package var text: [UInt8]
    /// The request that the line belongs to.
    package var request: RequestKey
    /// Whether the response to that request broke off.
    package var isIncomplete: Bool

    package init(_ speaker: History.Speaker, _ text: [UInt8], request: RequestKey = RequestKey(number: 0), isIncomplete: Bool = false) {
        self.speaker = speaker
        self.text = text
        self.request = request
        self.isIncomplete = isIncomplete
    }
}
