// SPDX-License-Identifier: Apache-2.0

/// A message of vosk-server: a partial result, or the result of an utterance.
///
/// The formats are those of `Recognizer` in vosk-api: `{"partial":"…"}`, `{"text":"…","result":[…]}`, and with `max_alternatives`
/// `{"alternatives":[{"text":"…","confidence":…,"result":[…]}]}`, of which the first is the best.
package struct VoskResponse: Sendable {
    package var text: [UInt8]
    package var isFinal: Bool
    /// The mean of the words' confidences. The `confidence` of an alternative is a log likelihood, and ignored.
    package var confidence: Double?
    package var startMilliseconds: Int64?
    package var endMilliseconds: Int64?

    package init(_ json: RawSpan) throws(ResponseFault) {
        let document = try JSONDocument(json)
        if let partial = document.field("partial") {
            guard let text = document.text(partial) else { throw ResponseFault("partial isn't a string") }
            (self.text, isFinal) = (text, false)
            return
        }
        isFinal = true
        let (text, words): (JSONValue?, JSONValue?)
        if let alternatives = document.field("alternatives") {
            guard alternatives.kind == .array else { throw ResponseFault("alternatives isn't an array") }
            guard let best = document.first(of: alternatives) else {
                self.text = []
                return
            }
            (text, words) = (document.field("text", of: best), document.field("result", of: best))
        } else {
            (text, words) = (document.field("text"), document.field("result"))
        }
        guard let text = document.text(text) else { throw ResponseFault("neither text nor partial is a string") }
        self.text = text
        var (sum, count) = (0.0, 0)
        var (start, end): (Int64?, Int64?) = (nil, nil)
        document.eachElement(of: words) { word in
            if let confidence = document.number(document.field("conf", of: word)), (0...1).contains(confidence) {
                sum += confidence
                count += 1
            }
            start = start ?? document.number(document.field("start", of: word)).flatMap(Self.milliseconds)
            end = document.number(document.field("end", of: word)).flatMap(Self.milliseconds) ?? end
        }
        if count > 0 { confidence = sum / Double(count) }
        (startMilliseconds, endMilliseconds) = (start, end)
    }

    private static func milliseconds(_ seconds: Double) -> Int64? { (0...1e9).contains(seconds) ? Int64(seconds * 1000) : nil }
}
