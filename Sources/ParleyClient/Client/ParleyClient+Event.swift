// SPDX-License-Identifier: Apache-2.0

extension ParleyClient {
    /// An event of the session. Replies have their own streams; these events are for everything else, and for displays of all replies.
    public enum Event: Sendable, Hashable {
        case state(State)
        /// A session was opened or resumed. `isLost`: something that the gateway sent is gone.
        case session(id: String, isResumed: Bool, isLost: Bool)
        /// The gateway has accepted a request.
        case accepted(id: String)
        /// A part of the response to the request `id`.
        case delta(id: String, text: String, isFinal: Bool)
        /// A transcript of the user's speech.
        case transcript(id: String, text: String, isFinal: Bool)
        /// A chunk of a spoken response; `id` is nil for pushed audio.
        case audio(id: String?, AudioFormat, [UInt8])
        /// The progress of a request, such as `thinking`, or without an `id` that of the session.
        case progress(id: String?, String)
        /// A reply has ended: complete, or with an error.
        case ended(id: String, ParleyError?)
        /// A message that a back office or an operator sent, as JSON; `text` if the message is a text.
        case push(id: String, text: String?, json: String)
        /// An error that belongs to no reply.
        case error(ParleyError)
        /// A text for people about the connection; nil withdraws the previous one.
        case advice(String?)
        /// The gateway will close the connection after `deadline`; the client reconnects by itself.
        case goAway(reason: String, deadline: Duration)
        /// The responses to these requests are gone; their replies fail with `lost`. `reason`: why a new session was opened, for example
        /// `expired`; nil if the session continues.
        case lost(ids: [String], reason: String?)
        /// A JSON message of the gateway, as received. Repetitions are left out.
        case message(json: String)
    }

    /// The format of audio.
    public struct AudioFormat: Sendable, Hashable {
        public enum Codec: String, Sendable, CaseIterable {
            /// 16-bit little-endian samples; a chunk holds whole samples of all channels.
            case pcm16
            case mulaw, alaw
            /// One packet in each chunk.
            case opus
            case oggOpus = "ogg_opus"
            case webmOpus = "webm_opus"
            case mp4AAC = "mp4_aac"
        }

        public var codec: Codec
        /// The sample rate in Hz; the gateway accepts 8000–48000.
        public var rate: Int
        /// 1 or 2.
        public var channels: Int

        public init(codec: Codec = .pcm16, rate: Int = 16_000, channels: Int = 1) {
            self.codec = codec
            self.rate = rate
            self.channels = channels
        }
    }
}
