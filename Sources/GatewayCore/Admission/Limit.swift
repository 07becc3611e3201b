/// The limits that the messages of a session are charged to. Their rates are the session's policy.
package enum Limit: Int, Sendable, CaseIterable {
    // The order is that of stored sessions.
    case text, audio, chunk, realtime, control, byte, refusal, violation

    /// The configuration key, by which clients know the limit.
    package var key: StaticString {
        switch self {
        case .text: "limits.text_per_minute"
        case .audio: "limits.audio_per_minute"
        case .chunk: "limits.audio_chunks_per_second"
        case .realtime: "limits.audio_realtime_factor"
        case .control: "limits.control_per_minute"
        case .byte: "limits.bytes_per_second"
        case .refusal: "limits.refusals_per_minute"
        case .violation: "messages.max_violations"
        }
    }

    /// The key as a string.
    package var name: String { "\(key)" }
}
