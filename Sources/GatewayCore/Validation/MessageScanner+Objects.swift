extension MessageScanner {
    /// A `format` object whose fields were read into `object`; nil when it isn't there.
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

    /// A whole number is either supported or `invalid_audio`; anything else isn't a number of this kind at all.
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

    /// The `output` object; nil when it isn't there.
    mutating func wantedOutput(_ bytes: RawSpan) throws(MessageFault) -> ClientMessage.Output? {
        guard let value = fields[.output] else { return nil }
        guard value.kind == .object else { throw fault(.outputNotObject, field: .output, in: bytes) }
        var wanted = ClientMessage.Output(text: true, audio: false, format: nil, voice: nil)
        if let modalities = output[.modalities] {
            wanted.text = false
            try read(modalities, into: &wanted, bytes)
        }
        wanted.format = try audioFormat(outputFormat, value: output[.format], in: "/output/format", bytes)
        wanted.voice = try text(.voice, of: output, in: "/output", bytes: 1...128, .invalidVoice, bytes)
        return wanted
    }

    private mutating func read(_ modalities: JSONValue, into wanted: inout ClientMessage.Output, _ bytes: RawSpan) throws(MessageFault) {
        guard modalities.kind == .array else {
            throw fault(.invalidModalities, field: .modalities, of: "/output", at: modalities, in: bytes)
        }
        var reader = JSONReader(at: modalities.start &+ 1, maximumDepth: ValidationRules.deepestNesting)
        repeat {
            reader.skipWhitespace(in: bytes)
            // The array was found whole; an empty one has no value here.
            guard let value = try? reader.value(in: bytes, depth: 3), let name = shortText(value, in: bytes) else {
                throw fault(.invalidModalities, field: .modalities, of: "/output", at: modalities, in: bytes)
            }
            if value.hasLoneSurrogate { throw MessageFault(JSONSyntaxError(.loneSurrogate, at: value.start), replyTo: replyTo(in: bytes)) }
            switch name {
            case "text" where !wanted.text: wanted.text = true
            case "audio" where !wanted.audio: wanted.audio = true
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
