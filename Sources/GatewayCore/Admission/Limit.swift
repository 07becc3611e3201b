// SPDX-License-Identifier: Apache-2.0

/// The limits to which the messages of a session are charged. The rates are in the session's policy.
package enum Limit: Int, Sendable, CaseIterable {
    // The order is part of the stored format.
    case text, audio, chunk, realtime, control, byte, rejection, violation

    /// The configuration key, which is also the limit's name for clients.
    package var key: StaticString {
        switch self {
        case .text: "limits.text_per_minute"
        case .audio: "limits.audio_per_minute"
        case .chunk: "limits.audio_chunks_per_second"
        case .realtime: "limits.audio_realtime_factor"
        case .control: "limits.control_per_minute"
        case .byte: "limits.bytes_per_second"
        case .rejection: "limits.refusals_per_minute"
        case .violation: "messages.max_violations"
        }
    }

    /// The key as a string.
    package var name: String { "\(key)" }
}
