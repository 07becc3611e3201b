// SPDX-License-Identifier: Apache-2.0

import Foundation
package import GatewayCore

/// A message from a client to the gateway (protocol page, section "Messages").
package enum ClientRequest: Sendable, Hashable {
    case ping(id: String, milliseconds: Int64)
    case text(id: String, text: String, lang: String? = nil, meta: [String: String] = [:], streams: Bool = true, speaks: Bool = false)
    case openAudio(id: String, format: AudioFormat, lang: String? = nil, meta: [String: String] = [:], speaks: Bool = false)
    /// Resumes the stream after a rejection, from the chunk with this number.
    case resumeAudio(id: String, from: Int)
    case endAudio(id: String)
    case status(id: String)
    /// Reports the user's activity.
    case activity(String, replyTo: String? = nil, playedMilliseconds: Int64? = nil)
    case cancel(id: String, reason: String? = nil, playedMilliseconds: Int64? = nil)
    case authenticate(token: String)
    case acknowledge(Int64)
    case bye

    /// The format of the audio that is requested with `speaks`, in addition to the text.
    package static let spokenFormat = AudioFormat(codec: .pcm16, rate: 24000, channels: 1)

    /// The text of the WebSocket message.
    package var json: String {
        var fields = Fields(type: "")
        switch self {
        case .ping(let id, let milliseconds):
            fields = Fields(type: "ping", id: id, ts: milliseconds)
        case .text(let id, let text, let lang, let meta, let streams, let speaks):
            fields = Fields(
                type: "text", id: id, text: text, lang: lang, stream: streams ? nil : false, meta: meta.isEmpty ? nil : meta,
                output: speaks ? Fields.Output() : nil)
        case .openAudio(let id, let format, let lang, let meta, let speaks):
            fields = Fields(
                type: "audio", id: id, lang: lang, format: Fields.Format(format), meta: meta.isEmpty ? nil : meta,
                output: speaks ? Fields.Output() : nil)
        case .resumeAudio(let id, let chunk):
            fields = Fields(type: "audio", id: id, from: chunk)
        case .endAudio(let id):
            fields = Fields(type: "audio", id: id, isFinal: true)
        case .status(let id):
            fields = Fields(type: "status", id: id)
        case .activity(let state, let replyTo, let played):
            fields = Fields(type: "status", state: state, replyTo: replyTo, playedMilliseconds: played)
        case .cancel(let id, let reason, let played):
            fields = Fields(type: "cancel", id: id, reason: reason, playedMilliseconds: played)
        case .authenticate(let token):
            fields = Fields(type: "auth", token: token)
        case .acknowledge(let sequence):
            fields = Fields(type: "ack", seq: sequence)
        case .bye:
            fields = Fields(type: "bye")
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Encoding strings, integers and booleans can't fail.
        return (try? encoder.encode(fields)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }

    private struct Fields: Encodable {
        struct Format: Encodable {
            var codec: String
            var rate: Int
            var channels: Int

            init(_ format: AudioFormat) {
                (codec, rate, channels) = (format.codec.rawValue, format.rate, format.channels)
            }
        }

        struct Output: Encodable {
            var modalities = ["text", "audio"]
            var format = Format(spokenFormat)
        }

        var type: String
        var id: String?
        var ts: Int64?
        var seq: Int64?
        var text: String?
        var lang: String?
        var stream: Bool?
        var reason: String?
        var from: Int?
        var isFinal: Bool?
        var format: Format?
        var meta: [String: String]?
        var output: Output?
        var state: String?
        var replyTo: String?
        var playedMilliseconds: Int64?
        var token: String?

        enum CodingKeys: String, CodingKey {
            case type, id, ts, seq, text, lang, stream, reason, from, format, meta, output, state, token
            case replyTo = "reply_to"
            case playedMilliseconds = "played_ms"
            case isFinal = "final"
        }
    }
}
