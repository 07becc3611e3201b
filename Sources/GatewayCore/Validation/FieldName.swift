// SPDX-License-Identifier: Apache-2.0

/// The known field names of client messages, at the top level and in `format` and `output`.
enum FieldName: UInt8, CaseIterable {
    case type, id, ts, text, lang, stream, output, meta, state, replyTo, playedMilliseconds, reason, sequence, token, format, data, final,
        from
    case codec, rate, channels, modalities, voice

    @inline(__always)
    init?(_ name: ShortText) {
        switch name {
        case "type": self = .type
        case "id": self = .id
        case "text": self = .text
        case "ts": self = .ts
        case "seq": self = .sequence
        case "stream": self = .stream
        case "lang": self = .lang
        case "meta": self = .meta
        case "output": self = .output
        case "format": self = .format
        case "final": self = .final
        case "state": self = .state
        case "reply_to": self = .replyTo
        case "played_ms": self = .playedMilliseconds
        case "reason": self = .reason
        case "token": self = .token
        case "data": self = .data
        case "from": self = .from
        case "codec": self = .codec
        case "rate": self = .rate
        case "channels": self = .channels
        case "modalities": self = .modalities
        case "voice": self = .voice
        default: return nil
        }
    }

    /// The name on the wire.
    var name: StaticString {
        switch self {
        case .type: "type"
        case .id: "id"
        case .ts: "ts"
        case .text: "text"
        case .lang: "lang"
        case .stream: "stream"
        case .output: "output"
        case .meta: "meta"
        case .state: "state"
        case .replyTo: "reply_to"
        case .playedMilliseconds: "played_ms"
        case .reason: "reason"
        case .sequence: "seq"
        case .token: "token"
        case .format: "format"
        case .data: "data"
        case .final: "final"
        case .from: "from"
        case .codec: "codec"
        case .rate: "rate"
        case .channels: "channels"
        case .modalities: "modalities"
        case .voice: "voice"
        }
    }
}

/// A set of field names as a bit mask.
struct FieldSet: OptionSet {
    let rawValue: UInt32

    init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    init(_ name: FieldName) {
        self.init(rawValue: 1 &<< UInt32(name.rawValue))
    }

    init(_ names: FieldName...) {
        self.init(rawValue: names.reduce(0) { $0 | Self($1).rawValue })
    }

    @inline(__always)
    func contains(_ name: FieldName) -> Bool { contains(Self(name)) }
}
