/// What a vosk server says: a partial result, or that of an utterance.
package struct VoskAnswer: Sendable {
    package var text: [UInt8]
    package var isFinal: Bool
    /// The mean of the words' confidences.
    package var confidence: Double?
    package var startMilliseconds: Int64?
    package var endMilliseconds: Int64?

    package init(_ json: RawSpan) throws(AnswerFault) {
        let document = try JSONDocument(json)
        if let partial = document.field("partial") {
            guard let text = document.text(partial) else { throw AnswerFault("partial isn't a string") }
            (self.text, isFinal) = (text, false)
            return
        }
        guard let text = document.text(document.field("text")) else { throw AnswerFault("neither text nor partial is a string") }
        (self.text, isFinal) = (text, true)
        var (sum, words) = (0.0, 0)
        var (start, end): (Int64?, Int64?) = (nil, nil)
        document.eachElement(of: document.field("result")) { word in
            if let confidence = document.number(document.field("conf", of: word)), (0...1).contains(confidence) {
                sum += confidence
                words += 1
            }
            start = start ?? document.number(document.field("start", of: word)).flatMap(Self.milliseconds)
            end = document.number(document.field("end", of: word)).flatMap(Self.milliseconds) ?? end
        }
        if words > 0 { confidence = sum / Double(words) }
        (startMilliseconds, endMilliseconds) = (start, end)
    }

    private static func milliseconds(_ seconds: Double) -> Int64? { (0...1e9).contains(seconds) ? Int64(seconds * 1000) : nil }
}
