// SPDX-License-Identifier: Apache-2.0

/// The response of a transcription server: an object with `text` (`json`, `verbose_json`), a JSON string, or plain text.
///
/// The text is trimmed: Whisper's begins with a space, and silence is transcribed as various kinds of white space.
package struct TranscriptionResponse: Sendable {
    package let text: [UInt8]

    /// - Parameters:
    ///   - body: valid UTF-8
    ///   - mayBePlain: whether a body that isn't JSON is the text itself
    package init(_ body: RawSpan, mayBePlain: Bool = false) throws(ResponseFault) {
        let body = body.extracting((body.hasByteOrderMark ? 3 : 0)..<body.byteCount)
        var reader = JSONReader(at: 0, maximumDepth: JSONDocument.depth)
        reader.skipWhitespace(in: body)
        let first = try? reader.current(in: body)
        if first == UInt8(ascii: "{") {
            // No transcript begins with a brace, so the body must be a JSON object, whatever the media type.
            text = try Self.text(of: try JSONDocument(body)).trimmed
            return
        }
        if !mayBePlain, first == UInt8(ascii: "\""), let value = try? reader.value(in: body, depth: 0), !value.hasLoneSurrogate {
            text = value.text.bytes(in: body).trimmed
            return
        }
        guard mayBePlain else { throw ResponseFault("the response isn't a JSON object") }
        text = Self.sanitized(body).trimmed
    }

    /// Returns `text`, or the text of the segments if `text` is missing or `null`.
    private static func text(of document: JSONDocument) throws(ResponseFault) -> [UInt8] {
        if let text = document.text(document.field("text")) { return text }
        guard document.field("text") == nil, let segments = document.field("segments"), segments.kind == .array else {
            throw ResponseFault("text isn't a string")
        }
        var text: [UInt8] = []
        document.eachElement(of: segments) { text += document.text(document.field("text", of: $0)) ?? [] }
        return text
    }

    private static func sanitized(_ body: RawSpan) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bytesOf: body)
        var text = String.UnicodeScalarView()
        text.append(contentsOf: String(decoding: bytes, as: UTF8.self).unicodeScalars.lazy.filter { !Sanitizing.removes($0.value) })
        return Array(String(text).utf8)
    }
}

extension RawSpan {
    fileprivate var hasByteOrderMark: Bool { byteCount >= 3 && byte(at: 0) == 0xEF && byte(at: 1) == 0xBB && byte(at: 2) == 0xBF }
}
