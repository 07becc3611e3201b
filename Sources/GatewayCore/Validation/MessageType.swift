// SPDX-License-Identifier: Apache-2.0

/// The types of client messages (protocol page, section "Messages").
enum MessageType {
    case ping, text, audio, status, cancel, ack, auth, bye

    init?(_ name: ShortText) {
        switch name {
        case "ping": self = .ping
        case "text": self = .text
        case "audio": self = .audio
        case "ack": self = .ack
        case "status": self = .status
        case "cancel": self = .cancel
        case "auth": self = .auth
        case "bye": self = .bye
        default: return nil
        }
    }

    /// The known fields of the type. All others are unknown, even if another type has them.
    var fields: FieldSet {
        switch self {
        case .ping: .ping
        case .text: .text
        case .audio: .audio
        case .status: .status
        case .cancel: .cancel
        case .ack: .ack
        case .auth: .auth
        case .bye: .bye
        }
    }
}

extension FieldSet {
    static let ping = Self(.type, .id, .ts)
    static let text = Self(.type, .id, .text, .lang, .stream, .output, .meta)
    static let audio = Self(.type, .id, .format, .lang, .output, .meta, .data, .final, .from)
    static let status = Self(.type, .id, .state, .replyTo, .playedMilliseconds)
    static let cancel = Self(.type, .id, .reason, .playedMilliseconds)
    static let ack = Self(.type, .sequence)
    static let auth = Self(.type, .token)
    static let bye = Self(.type)
    /// The top-level fields of all types.
    static let message: Self = [.ping, .text, .audio, .status, .cancel, .ack, .auth, .bye]
    /// The fields that are objects.
    static let objects = Self(.format, .output, .meta)
    /// The fields of `format` and `output`.
    static let formatObject = Self(.codec, .rate, .channels)
    static let outputObject = Self(.modalities, .format, .voice)
}
