// SPDX-License-Identifier: Apache-2.0

extension MessageScanner {
    /// Validates a `format` object whose fields were read into `object`; nil when absent.
    mutating func audioFormat(
        _ object: ObjectFields, value: JSONValue?, in pointer: StaticString, _ bytes: RawSpan
    ) throws(MessageFault) -> AudioFormat? {
        guard let value else { return nil }
        guard value.kind == .object else {
            throw MessageFault(
                .formatNotObject, param: pointer.description, replyTo: replyTo(in: bytes), offset: value.start)
        }
        guard let name = object[.codec], name.kind == .string else {
            throw fault(.missingCodec, field: .codec, of: pointer, at: object[.codec] ?? value, in: bytes)
        }
        guard let codec = shortText(name, in: bytes).flatMap({ AudioFormat.Codec($0) }) else {
            throw fault(.unsupportedCodec, field: .codec, of: pointer, at: name, in: bytes)
        }
        guard let rate = object[.rate] else {
            throw fault(.missingRate, field: .rate, of: pointer, at: value, in: bytes)
        }
        return AudioFormat(
            codec: codec,
            rate: try number(rate, .rate, within: AudioFormat.rates, in: pointer, .unsupportedRate, bytes),
            channels: try object[.channels].map { value throws(MessageFault) in
                try number(value, .channels, within: AudioFormat.channelCounts, in: pointer, .unsupportedChannels, bytes)
            } ?? 1)
    }

    /// Returns an integer within the range; an unsupported integer is `invalid_audio`, any other value `invalid_message`.
    private func number(
        _ value: JSONValue, _ field: FieldName, within range: ClosedRange<Int>, in pointer: StaticString, _ reason: ErrorReason,
        _ bytes: RawSpan
    ) throws(MessageFault) -> Int {
        guard let decimal = DecimalNumber(value, in: bytes), !decimal.hasFraction else {
            throw fault(.notWholeNumber, field: field, of: pointer, at: value, in: bytes)
        }
        guard let number = decimal.whole.flatMap({ Int(exactly: $0) }), range.contains(number) else {
            throw fault(reason, field: field, of: pointer, at: value, in: bytes)
        }
        return number
    }

    /// Validates the `output` object; nil when absent.
    mutating func requestedOutput(_ bytes: RawSpan) throws(MessageFault) -> ClientMessage.Output? {
        guard let value = fields[.output] else { return nil }
        guard value.kind == .object else { throw fault(.outputNotObject, field: .output, in: bytes) }
        var requested = ClientMessage.Output(text: true, audio: false, format: nil, voice: nil)
        if let modalities = output[.modalities] {
            requested.text = false
            try read(modalities, into: &requested, bytes)
        }
        requested.format = try audioFormat(outputFormat, value: output[.format], in: "/output/format", bytes)
        requested.voice = try text(.voice, of: output, in: "/output", bytes: 1...128, .invalidVoice, bytes)
        return requested
    }

    private mutating func read(_ modalities: JSONValue, into requested: inout ClientMessage.Output, _ bytes: RawSpan) throws(MessageFault) {
        guard modalities.kind == .array else {
            throw fault(.invalidModalities, field: .modalities, of: "/output", at: modalities, in: bytes)
        }
        var reader = JSONReader(at: modalities.start &+ 1, maximumDepth: ValidationRules.maximumNesting)
        repeat {
            reader.skipWhitespace(in: bytes)
            // The array's syntax was checked, so only an empty array has no value here.
            guard let value = try? reader.value(in: bytes, depth: 3), let name = shortText(value, in: bytes) else {
                throw fault(.invalidModalities, field: .modalities, of: "/output", at: modalities, in: bytes)
            }
            if value.hasLoneSurrogate { throw MessageFault(JSONSyntaxError(.loneSurrogate, at: value.start), replyTo: replyTo(in: bytes)) }
            switch name {
            case "text" where !requested.text: requested.text = true
            case "audio" where !requested.audio: requested.audio = true
            default: throw fault(.invalidModalities, field: .modalities, of: "/output", at: modalities, in: bytes)
            }
            reader.skipWhitespace(in: bytes)
            guard (try? reader.expect(UInt8(ascii: ","), in: bytes)) == nil else { continue }
            return
        } while true
    }
}

extension AudioFormat.Codec {
    init?(_ name: ShortText) {
        switch name {
        case "pcm16": self = .pcm16
        case "mulaw": self = .mulaw
        case "alaw": self = .alaw
        case "opus": self = .opus
        case "ogg_opus": self = .oggOpus
        case "webm_opus": self = .webmOpus
        case "mp4_aac": self = .mp4AAC
        default: return nil
        }
    }
}
