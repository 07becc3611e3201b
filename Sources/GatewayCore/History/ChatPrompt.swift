/// The messages that a chat model is asked with: the conversation before, and the question.
///
/// Templates of chat models (Mistral, Gemma) demand that `user` and `assistant` take turns, beginning and ending with `user`; a server that finds
/// anything else answers 400, and would to every later request of the session. So lines of one speaker that follow each other are one message,
/// whatever the session has been through: texts sent at once, answers that were cancelled, bounds that cut the conversation anywhere.
package struct ChatPrompt: Sendable, Hashable {
    package struct Message: Sendable, Hashable {
        package var speaker: History.Speaker
        package var text: [UInt8]
    }

    /// The last is the question.
    package private(set) var messages: [Message] = []
    /// The request of the last message.
    private var request: RequestKey?

    /// - Parameters:
    ///   - lines: what was said before, the oldest first
    ///   - question: what the client asks now
    ///   - limit: messages before the question, at most
    package init(_ lines: [ConversationLine], question: [UInt8], limit: Int) {
        let known = lines.suffix(limit)
        for index in known.indices {
            let line = known[index]
            // A question that is asked again stands in the conversation once.
            if Self.isAskedAgain(line.request, in: known, question: question) { continue }
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
        // The question once more, of a client that didn't wait.
        guard last.text != line.text || line.speaker != .client else { return }
        messages[messages.count - 1].text += (request == line.request ? [0x20] : [0x0A]) + line.text
    }

    /// Whether the answer to a request broke off, and the client's next line says the same as that request.
    private static func isAskedAgain(_ request: RequestKey, in lines: ArraySlice<ConversationLine>, question: [UInt8]) -> Bool {
        guard let asked = lines.first(where: { $0.request == request && $0.speaker == .client }), asked.isBrokenOff else { return false }
        let next = lines.first { $0.speaker == .client && $0.request.number > request.number }
        return (next?.text ?? question) == asked.text
    }
}
