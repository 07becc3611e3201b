// SPDX-License-Identifier: Apache-2.0

/// The messages of a chat completion request: the previous conversation, and the question.
///
/// Chat templates (Mistral, Gemma) require that `user` and `assistant` alternate, beginning and ending with `user`. A server responds to
/// anything else with 400, and would do so for every later request of the session. Therefore consecutive lines of one speaker are merged
/// into one message, whatever caused them: texts sent at once, cancelled responses, bounds that cut the conversation anywhere.
package struct ChatPrompt: Sendable, Hashable {
    package struct Message: Sendable, Hashable {
        package var speaker: History.Speaker
        package var text: [UInt8]
    }

    /// The messages in order; the last one is the question.
    package private(set) var messages: [Message] = []
    /// The request of the last message.
    private var request: RequestKey?

    /// - Parameters:
    ///   - lines: the previous conversation, oldest first
    ///   - question: the text of the client's new request
    ///   - limit: the maximum number of lines before the question
    package init(_ lines: [ConversationLine], question: [UInt8], limit: Int) {
        let recent = lines.suffix(limit)
        for index in recent.indices {
            let line = recent[index]
            // A question that is repeated later is included only once.
            if Self.isRepeated(line.request, in: recent, question: question) { continue }
            guard !messages.isEmpty || line.speaker == .client else { continue }
            add(line)
        }
        add(ConversationLine(.client, question))
    }

    private mutating func add(_ line: ConversationLine) {
        defer { request = line.request }
        guard let last = messages.last, last.speaker == line.speaker else {
            messages.append(Message(speaker: line.speaker, text: line.text))
            return
        }
        // The client repeated its question without waiting for the response.
        guard last.text != line.text || line.speaker != .client else { return }
        messages[messages.count - 1].text += (request == line.request ? [0x20] : [0x0A]) + line.text
    }

    /// Whether the response to a request broke off, and the client's next line repeats that request.
    private static func isRepeated(_ request: RequestKey, in lines: ArraySlice<ConversationLine>, question: [UInt8]) -> Bool {
        guard let asked = lines.first(where: { $0.request == request && $0.speaker == .client }), asked.isIncomplete else { return false }
        let next = lines.first { $0.speaker == .client && $0.request.number > request.number }
        return (next?.text ?? question) == asked.text
    }
}
