import Foundation
import GatewayAudio
import GatewayCore
import NIOCore
import NIOHTTP1

/// A request to an HTTP upstream: its body, and the reader of the response.
struct HTTPCall {
    var contentType = "application/json"
    var accept = "application/json, text/event-stream"
    var body: [UInt8] = []
    var answer: any AnswerReader

    /// - Parameter now: the clock of the event loop
    /// - Throws: a failure where the upstream can't be sent such a request.
    init(
        _ request: borrowing UpstreamRequest, _ configuration: GatewayConfiguration.Upstream, now: @escaping () -> Instant
    ) throws(CallFailure) {
        let limit = GatewaySizes.orOff(configuration.maxMessageBytes)
        switch (configuration.kind, configuration.task) {
        case (.openai, .chat):
            answer = ChatCompletionAnswer(limit: limit, findsReasoningTags: configuration.reasoningTags, now: now)
            try Self.chat(request, configuration, into: &body)
        case (.openai, .transcription):
            answer = TranscriptAnswer(limit: limit)
            accept = "application/json, text/plain"
            let boundary = "parley-\(UUID().uuidString)"
            contentType = "multipart/form-data; boundary=\(boundary)"
            try Self.transcription(request, configuration, boundary: boundary, into: &body)
        case (.openai, .speech):
            answer = SpeechAnswer()
            accept = "audio/wav"
            try Self.speech(request, configuration, into: &body)
        default:
            answer = MessageAnswer(limit: limit)
            body.append(request, number: nil)
        }
    }

    private static func text(of request: borrowing UpstreamRequest) throws(CallFailure) -> [UInt8] {
        guard case .text(let text) = request.input else { throw misplaced }
        return text
    }

    /// The rules of the configuration don't let it come to this.
    private static var misplaced: CallFailure {
        var failure = CallFailure(.internal, "this upstream can't be given such a message")
        (failure.isRetryable, failure.hasReached, failure.outcome) = (false, false, .neither)
        return failure
    }

    private static func chat(
        _ request: borrowing UpstreamRequest, _ configuration: GatewayConfiguration.Upstream, into body: inout [UInt8]
    ) throws(CallFailure) {
        let text = try text(of: request)
        body.append("{\"model\":")
        body.append(jsonString: configuration.model)
        body.append(",\"messages\":[")
        if !configuration.systemPrompt.isEmpty {
            append(role: "system", Array(configuration.systemPrompt.utf8), to: &body)
            body.append(UInt8(ascii: ","))
        }
        let prompt = ChatPrompt(request.conversation, question: text, limit: configuration.historyMessages)
        for (index, message) in prompt.messages.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            append(role: message.speaker == .client ? "user" : "assistant", message.text, to: &body)
        }
        body.append("]")
        let hasOwnLimit = configuration.extraBody.has("max_tokens") || configuration.extraBody.has("max_completion_tokens")
        if configuration.maxTokens > 0, !hasOwnLimit {
            body.append(",\"max_tokens\":")
            body.append(decimal: configuration.maxTokens)
        }
        if request.stream { body.append(",\"stream\":true") }
        if request.stream, configuration.streamUsage { body.append(",\"stream_options\":{\"include_usage\":true}") }
        append(configuration.extraBody, to: &body)
        body.append(UInt8(ascii: "}"))
    }

    private static func append(_ extra: UpstreamBody, to body: inout [UInt8]) {
        for member in extra.members {
            body.append(UInt8(ascii: ","))
            body.append(member)
        }
    }

    private static func append(role: StaticString, _ text: [UInt8], to body: inout [UInt8]) {
        body.append("{\"role\":\"")
        body.append(role)
        body.append("\",\"content\":")
        body.append(jsonString: text)
        body.append(UInt8(ascii: "}"))
    }

    private static func transcription(
        _ request: borrowing UpstreamRequest, _ configuration: GatewayConfiguration.Upstream, boundary: String, into body: inout [UInt8]
    ) throws(CallFailure) {
        guard case .recording(let format, let recording) = request.input else { throw misplaced }
        func part(_ disposition: String, type: String? = nil) {
            body += "--\(boundary)\r\nContent-Disposition: form-data; \(disposition)\r\n".utf8
            if let type { body += "Content-Type: \(type)\r\n".utf8 }
            body += "\r\n".utf8
        }
        func field(_ name: String, _ value: [UInt8]) {
            part("name=\"\(name)\"")
            body += value
            body += "\r\n".utf8
        }
        field("model", Array(configuration.model.utf8))
        if !configuration.extraBody.has("response_format") { field("response_format", Array("json".utf8)) }
        for member in configuration.extraBody.members { field(member.name, UpstreamBody.formValue(member)) }
        // Whisper knows languages, not dialects.
        if let lang = request.lang, !configuration.extraBody.has("language") {
            field("language", Array(lang.prefix { $0 != UInt8(ascii: "-") }))
        }
        if let prompt = request.meta.first(where: { $0.key.elementsEqual("prompt".utf8) })?.value { field("prompt", prompt) }
        switch format.codec {
        case .pcm16, .mulaw, .alaw:
            part("name=\"file\"; filename=\"audio.wav\"", type: "audio/wav")
            body += WAVFile.header(format, dataCount: recording.count) ?? []
        case .oggOpus, .opus: part("name=\"file\"; filename=\"audio.ogg\"", type: "audio/ogg")
        case .webmOpus: part("name=\"file\"; filename=\"audio.webm\"", type: "audio/webm")
        case .mp4AAC: part("name=\"file\"; filename=\"audio.mp4\"", type: "audio/mp4")
        }
        body += recording
        body += "\r\n--\(boundary)--\r\n".utf8
    }

    private static func speech(
        _ request: borrowing UpstreamRequest, _ configuration: GatewayConfiguration.Upstream, into body: inout [UInt8]
    ) throws(CallFailure) {
        let text = try text(of: request)
        body.append("{\"model\":")
        body.append(jsonString: configuration.model)
        body.append(",\"input\":")
        body.append(jsonString: text)
        body.append(",\"voice\":")
        let voice = request.output.voice ?? Array(configuration.voice.utf8)
        body.append(jsonString: voice.isEmpty ? Array("alloy".utf8) : voice)
        body.append(",\"response_format\":\"wav\"")
        append(configuration.extraBody, to: &body)
        body.append(UInt8(ascii: "}"))
    }
}
