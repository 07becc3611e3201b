// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayAudio
import GatewayCore
import NIOCore
import NIOHTTP1

/// A request to an HTTP upstream, and the reader of its response.
struct HTTPCall {
    var contentType = "application/json"
    var accept = "application/json, text/event-stream"
    var body: [UInt8] = []
    var reader: any ResponseReader

    /// - Parameter now: the clock of the event loop
    /// - Throws: a failure when the upstream doesn't support this kind of request
    init(
        _ request: borrowing UpstreamRequest, _ configuration: GatewayConfiguration.Upstream, now: @escaping () -> Instant
    ) throws(CallFailure) {
        let limit = ConfiguredLimit.unlimitedIfZero(configuration.maxMessageBytes)
        switch (configuration.kind, configuration.task) {
        case (.openai, .chat):
            reader = ChatCompletionResponseReader(limit: limit, findsReasoningTags: configuration.reasoningTags, now: now)
            try Self.chat(request, configuration, into: &body)
        case (.openai, .transcription):
            reader = TranscriptionResponseReader(limit: limit)
            accept = "application/json, text/plain"
            let boundary = "parley-\(UUID().uuidString)"
            contentType = "multipart/form-data; boundary=\(boundary)"
            try Self.transcription(request, configuration, boundary: boundary, into: &body)
        case (.openai, .speech):
            reader = SpeechResponseReader()
            accept = "audio/wav"
            try Self.speech(request, configuration, into: &body)
        default:
            reader = MessageResponseReader(limit: limit)
            body.append(request, number: nil)
        }
    }

    private static func text(of request: UpstreamRequest) throws(CallFailure) -> [UInt8] {
        guard case .text(let text) = request.input else { throw unsupportedInput }
        return text
    }

    /// The failure for a kind of input that the upstream doesn't support. The validation of the configuration rules it out.
    private static var unsupportedInput: CallFailure {
        var failure = CallFailure(.unsupportedInput)
        (failure.isRetryable, failure.mayHaveBeenProcessed, failure.outcome) = (false, false, .neither)
        return failure
    }

    private static func chat(
        _ request: UpstreamRequest, _ configuration: GatewayConfiguration.Upstream, into body: inout [UInt8]
    ) throws(CallFailure) {
        let text = try text(of: request)
        let prompt = ChatPrompt(request.conversation, question: text, limit: configuration.historyMessages)
        let hasOwnLimit = configuration.extraBody.has("max_tokens") || configuration.extraBody.has("max_completion_tokens")
        // One message: chat templates allow a single system message, before all others.
        var system = Array(configuration.systemPrompt.utf8)
        if !request.whisper.isEmpty { system += (system.isEmpty ? [] : [0x0A, 0x0A]) + request.whisper }
        let size = prompt.messages.reduce(system.count) { $0 &+ $1.text.count &+ 48 }
        body.appendJSON(expecting: 512 &+ size) { writer in
            writer.object { writer in
                writer.member("model", configuration.model)
                writer.array("messages") { writer in
                    if !system.isEmpty { writer.element(role: "system", system) }
                    for message in prompt.messages {
                        writer.element(role: message.speaker == .client ? "user" : "assistant", message.text)
                    }
                }
                if configuration.maxTokens > 0, !hasOwnLimit { writer.member("max_tokens", configuration.maxTokens) }
                if request.stream { writer.member("stream", true) }
                if request.stream, configuration.streamUsage {
                    writer.object("stream_options") { $0.member("include_usage", true) }
                }
                writer.members(configuration.extraBody)
            }
        }
    }

    private static func transcription(
        _ request: UpstreamRequest, _ configuration: GatewayConfiguration.Upstream, boundary: String, into body: inout [UInt8]
    ) throws(CallFailure) {
        guard case .recording(let format, let recording) = request.input else { throw unsupportedInput }
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
        // Whisper accepts languages, not regional variants.
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
        _ request: UpstreamRequest, _ configuration: GatewayConfiguration.Upstream, into body: inout [UInt8]
    ) throws(CallFailure) {
        let text = try text(of: request)
        let voice = request.output.voice ?? Array(configuration.voice.utf8)
        body.appendJSON(expecting: 256 &+ text.count) { writer in
            writer.object { writer in
                writer.member("model", configuration.model)
                writer.member("input", text)
                writer.member("voice", voice.isEmpty ? Array("alloy".utf8) : voice)
                writer.member("response_format", literal: "wav")
                writer.members(configuration.extraBody)
            }
        }
    }
}

extension JSONWriter {
    fileprivate mutating func element(role: StaticString, _ text: [UInt8]) {
        element { writer in
            writer.member("role", literal: role)
            writer.member("content", text)
        }
    }

    fileprivate mutating func members(_ extra: UpstreamBody) {
        for member in extra.members { self.member(named: member.name, json: member.json) }
    }
}
