// SPDX-License-Identifier: Apache-2.0

/// A valid client message that refers to the bytes that it was parsed from.
///
/// No text is copied until the message is accepted: texts are ``TextSlice``s of the scanned span.
/// Shapes and bounds: protocol page, section "Messages".
package enum ClientMessage: Sendable {
    case ping(id: MessageID?, ts: NumberSlice?)
    case text(Text)
    case audioOpen(AudioOpen)
    /// `{"type":"audio","id":…,"final":true}` without `data` and `format`: ends the open stream.
    case audioEnd(id: MessageID)
    /// `{"type":"audio","id":…,"from":n}`: the client continues with chunk n.
    case audioFrom(id: MessageID, chunk: UInt64)
    case status(Status)
    case cancel(id: MessageID, reason: TextSlice?, playedMilliseconds: Int64?)
    case ack(sequence: UInt64)
    case auth(token: TextSlice)
    case bye

    package struct Text: Sendable {
        package var id: MessageID
        /// The text: 1 byte to `messages.max_text_bytes` after sanitizing.
        package var text: TextSlice
        package var lang: TextSlice?
        package var stream: Bool
        package var output: Output?
        package var meta: [MetaEntry]

        package init(id: MessageID, text: TextSlice, lang: TextSlice?, stream: Bool, output: Output?, meta: [MetaEntry]) {
            self.id = id
            self.text = text
            self.lang = lang
            self.stream = stream
            self.output = output
            self.meta = meta
        }
    }

    package struct AudioOpen: Sendable {
        package var id: MessageID
        package var format: AudioFormat
        package var lang: TextSlice?
        package var output: Output?
        package var meta: [MetaEntry]
        /// A whole recording in one message, as validated base64 text; `final` is true then. Nil for a stream.
        package var data: TextSlice?

        package init(id: MessageID, format: AudioFormat, lang: TextSlice?, output: Output?, meta: [MetaEntry], data: TextSlice?) {
            self.id = id
            self.format = format
            self.lang = lang
            self.output = output
            self.meta = meta
            self.data = data
        }
    }

    package struct Status: Sendable {
        package enum State: String, Sendable, CaseIterable {
            case typing, idle, recording, muted, playing
        }

        package var id: MessageID?
        package var state: State?
        package var replyTo: MessageID?
        package var playedMilliseconds: Int64?

        package init(id: MessageID?, state: State?, replyTo: MessageID?, playedMilliseconds: Int64?) {
            self.id = id
            self.state = state
            self.replyTo = replyTo
            self.playedMilliseconds = playedMilliseconds
        }
    }

    /// The requested output.
    package struct Output: Sendable {
        package var text: Bool
        package var audio: Bool
        package var format: AudioFormat?
        package var voice: TextSlice?

        package init(text: Bool, audio: Bool, format: AudioFormat?, voice: TextSlice?) {
            self.text = text
            self.audio = audio
            self.format = format
            self.voice = voice
        }
    }

    package struct MetaEntry: Sendable {
        package var key: TextSlice
        package var value: TextSlice

        package init(key: TextSlice, value: TextSlice) {
            self.key = key
            self.value = value
        }
    }
}
