// SPDX-License-Identifier: Apache-2.0

/// One message in Parley's upstream message format (upstream page, section "Responses"): a WebSocket message, a line of a process, or the
/// JSON or an event of an HTTP response.
package struct UpstreamMessage: Sendable {
    package enum Body: Sendable {
        case event(UpstreamEvent.Content)
        /// `{"type":"audio","format":{…}}`, followed by chunks and ``audioEnd``.
        case audioBegin(AudioFormat)
        case audioEnd
        /// `{"type":"chunk","bytes":n}`, followed by n bytes of audio.
        case chunk(bytes: Int)
        /// `{"type":"audio","format":{…},"data":"<base64>"}`, a complete recording.
        case recording(AudioFormat, [UInt8])
        case failure(retryable: Bool?, retryAfterMilliseconds: Int64?)
    }

    /// The number of the request on a shared connection.
    package var request: UInt64?
    package var body: Body
    /// Whether this is the last message of the response. Always true for a failure.
    package var isDone: Bool
    /// The usage and the finish reason; ignored except in the last message.
    package var summary: ResponseSummary

    /// The maximum length of `state` in bytes.
    static let longestState = 64
    /// The maximum size of a chunk in bytes.
    package static let largestChunk = 1 << 20

    /// Returns whether a text is a valid JSON object.
    package static func isObject(_ text: RawSpan) -> Bool {
        var validator = UTF8Validator()
        guard validator.accept(text), validator.isComplete else { return false }
        return (try? JSONDocument(text)) != nil
    }

    /// Parses a message.
    ///
    /// - Parameter json: the text of one message, valid UTF-8
    package init(_ json: RawSpan) throws(ResponseFault) {
        let document = try JSONDocument(json)
        var request: UInt64?
        if let value = document.field("request") {
            guard let number = document.unsigned(value) else { throw ResponseFault("request isn't a whole number") }
            request = number
        }
        self.request = request
        do throws(ResponseFault) {
            isDone = try Self.flag("done", in: document) ?? false
            summary = Self.summary(document)
            body = try Self.body(document)
        } catch {
            throw ResponseFault(error.description, request: request)
        }
        if case .failure = body { isDone = true }
    }

    private static func body(_ document: JSONDocument) throws(ResponseFault) -> Body {
        let type = document.field("type")
        // `{"text":"…"}` without a type is a complete response of a simple HTTP service.
        guard type != nil || document.field("text") == nil else {
            return .event(.text(try text(document), final: try flag("final", in: document) ?? true))
        }
        if document.isText(type, "text") { return .event(.text(try text(document), final: try final(document))) }
        if document.isText(type, "transcript") { return .event(try transcript(document)) }
        if document.isText(type, "status") { return .event(try status(document)) }
        if document.isText(type, "audio") { return try audio(document) }
        if document.isText(type, "chunk") {
            guard let count = document.unsigned(document.field("bytes")), count >= 1, count <= UInt64(largestChunk) else {
                throw ResponseFault("bytes isn't a number from 1 to \(largestChunk)")
            }
            return .chunk(bytes: Int(count))
        }
        guard document.isText(type, "error") else { throw ResponseFault("unknown message type") }
        return .failure(
            retryable: document.flag(document.field("retryable")),
            retryAfterMilliseconds: document.milliseconds(document.field("retry_after_ms")))
    }

    private static func text(_ document: JSONDocument) throws(ResponseFault) -> [UInt8] {
        guard let text = document.text(document.field("text")) else { throw ResponseFault("text isn't a string") }
        return text
    }

    private static func flag(_ name: StaticString, in document: JSONDocument) throws(ResponseFault) -> Bool? {
        guard let value = document.field(name) else { return nil }
        guard let flag = document.flag(value) else { throw ResponseFault("\(name) isn't true or false") }
        return flag
    }

    /// Returns `final`, which defaults to `done`.
    private static func final(_ document: JSONDocument) throws(ResponseFault) -> Bool {
        if let final = try flag("final", in: document) { return final }
        return try flag("done", in: document) ?? false
    }

    private static func transcript(_ document: JSONDocument) throws(ResponseFault) -> UpstreamEvent.Content {
        var confidence: Double?
        if let value = document.field("confidence") {
            guard let number = document.number(value), (0...1).contains(number) else { throw ResponseFault("confidence isn't from 0 to 1") }
            confidence = number
        }
        return .transcript(
            try text(document), final: try final(document), confidence: confidence,
            startMilliseconds: document.milliseconds(document.field("start_ms")),
            endMilliseconds: document.milliseconds(document.field("end_ms")))
    }

    private static func status(_ document: JSONDocument) throws(ResponseFault) -> UpstreamEvent.Content {
        guard let state = document.string(document.field("state"), atMost: longestState), !state.isEmpty else {
            throw ResponseFault("state isn't a string of 1 to \(longestState) bytes")
        }
        var progress: Double?
        if let value = document.field("progress") {
            guard let number = document.number(value), (0...1).contains(number) else { throw ResponseFault("progress isn't from 0 to 1") }
            progress = number
        }
        return .status(state, progress: progress)
    }

    private static func audio(_ document: JSONDocument) throws(ResponseFault) -> Body {
        guard let value = document.field("format") else {
            guard try final(document) else { throw ResponseFault("audio has neither format nor final") }
            return .audioEnd
        }
        guard let format = AudioFormat(value, in: document) else { throw ResponseFault("unsupported format") }
        guard let data = document.field("data") else {
            return try final(document) ? .audioEnd : .audioBegin(format)
        }
        guard let decoded = document.base64(data), !decoded.isEmpty, decoded.count % format.frameBytes == 0
        else { throw ResponseFault("data isn't base64 of whole samples") }
        return .recording(format, decoded)
    }

    private static func summary(_ document: JSONDocument) -> ResponseSummary {
        var summary = ResponseSummary()
        if let finish = document.string(document.field("finish"), atMost: 32) { summary.finish = FinishReason(rawValue: finish) }
        guard let usage = document.field("usage") else { return summary }
        summary.usage = Usage(
            inputTokens: document.count(document.field("input_tokens", of: usage)) ?? 0,
            outputTokens: document.count(document.field("output_tokens", of: usage)) ?? 0)
        return summary
    }
}

extension AudioFormat {
    init?(_ value: JSONValue, in document: JSONDocument) {
        guard let name = document.string(document.field("codec", of: value), atMost: 16), let codec = Codec(rawValue: name),
            let rate = document.unsigned(document.field("rate", of: value)), rate <= 48000, Self.rates.contains(Int(rate))
        else { return nil }
        var channels: UInt64 = 1
        if let value = document.field("channels", of: value) { channels = document.unsigned(value) ?? 0 }
        guard channels == 1 || channels == 2 else { return nil }
        self.init(codec: codec, rate: Int(rate), channels: Int(channels))
    }
}
