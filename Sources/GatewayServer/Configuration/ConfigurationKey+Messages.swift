// SPDX-License-Identifier: Apache-2.0

import GatewayCore

extension ConfigurationKey {
    /// `messages.*`, `limits.*`, `sessions.*`, `delivery.*`.
    static let messaging: [ConfigurationKey] = [
        .size("messages.max_bytes", \.messages.maxBytes, reload: .live, "Maximum size of a JSON message other than audio, as received."),
        .size("messages.max_text_bytes", \.messages.maxTextBytes, reload: .live, "Maximum size of a text in UTF-8, after sanitizing."),
        .size("messages.audio_max_bytes", \.messages.audioMaxBytes, reload: .live, "Maximum size of an audio chunk or message, decoded."),
        .count("messages.max_depth", \.messages.maxDepth, in: 1...64, zero: nil, reload: .live, "Maximum nesting depth of JSON."),
        .choice(
            "messages.unknown_fields", \.messages.unknownFields, reload: .live,
            "Whether unknown fields of a message are ignored or rejected."),
        .count(
            Limit.violation.name, \.messages.maxViolations, reload: .live, "Violations per minute and session. Beyond it: close code 4505."),

        .count(
            Limit.text.name, \.limits.textPerMinute, reload: .live, "Texts per minute and session, with a burst of a quarter of that."),
        .count(
            Limit.audio.name, \.limits.audioPerMinute, reload: .live, "Audio messages and opened streams per minute and session."
        ),
        .count(
            Limit.chunk.name, \.limits.audioChunksPerSecond, reload: .live,
            "Binary frames per second and session, with a burst of 5 s."),
        .factor(
            Limit.realtime.name, \.limits.audioRealtimeFactor, reload: .live,
            "Seconds of audio per second and session, with a burst of 5 s."),
        .count(
            Limit.control.name, \.limits.controlPerMinute, reload: .live,
            "ping, status, cancel and auth messages per minute and session. An ack counts only as bytes."),
        .count(
            Limit.rejection.name, \.limits.refusalsPerMinute, reload: .live,
            "Messages rejected by a limit, per minute and session. Beyond it: close code 4505."),
        .size(
            Limit.byte.name, \.limits.bytesPerSecond, reload: .live,
            "Inflated bytes per second and session, with a burst of 4 s."),
        .factor(
            "limits.per_address_factor", \.limits.perAddressFactor, zero: "no limit by address", reload: .live,
            "Limits of all sessions of one client address together, as a multiple of a session's limits. Sessions that have ended still count."
        ),
        .count("limits.global_per_second", \.limits.globalPerSecond, reload: .live, "Messages per second, of all sessions together."),

        .count("sessions.max", \.sessions.max, "Maximum number of attached sessions. Beyond it: 503."),
        .count(
            "sessions.max_detached", \.sessions.maxDetached,
            "Maximum number of detached sessions. Beyond it, a detached session of the same address ends, else one of the address with the"
                + " most; if there is neither: 503."),
        .duration("sessions.ttl", \.sessions.ttl, zero: "no limit", "Maximum lifetime of a session."),
        .duration("sessions.idle", \.sessions.idle, zero: "no limit", "A session that receives no message for this long ends."),
        .duration("sessions.resume_window", \.sessions.resumeWindow, "How long a detached session can be resumed."),
        .duration(
            "sessions.sweep", \.sessions.sweep, "Interval at which expired state is freed. Deadlines take effect on time regardless."),
        .count(
            "sessions.history_messages", \.sessions.historyMessages, zero: "no history",
            "Maximum number of messages in the history; the oldest are pruned."),
        .size(
            "sessions.history_bytes", \.sessions.historyBytes, zero: "no history",
            "Maximum size of the history; the oldest messages are pruned."),
        .count("sessions.duplicate_ids", \.sessions.duplicateIDs, zero: "none", "Number of recent ids kept to detect duplicates."),
        .count("sessions.outbox_messages", \.sessions.outboxMessages, "Maximum number of unacknowledged messages kept for replay."),
        .size("sessions.outbox_bytes", \.sessions.outboxBytes, "Maximum size of the unacknowledged messages kept for replay."),
        .size(
            "sessions.memory_budget", \.sessions.memoryBudget,
            "Memory budget of one session. At the limit its history is pruned, then new work is rejected, then it ends with 4506."),
        .size(
            "sessions.total_memory_budget", \.sessions.totalMemoryBudget,
            "Memory budget of all sessions. At 90 % histories are pruned and new sessions get 503; at 100 % new work is rejected and detached"
                + " sessions end, those of the address that uses most first."),

        .duration(
            "delivery.send_timeout", \.delivery.sendTimeout,
            "A socket that accepts no byte for this long while bytes are queued is closed with 4002 (slow consumer)."
        ),
        .size(
            "delivery.upstream_queue_bytes", \.delivery.upstreamQueueBytes,
            "Maximum bytes queued for the upstream, per session. Further chunks are rejected; reading from the client never pauses for an upstream."
        ),
        .duration(
            "delivery.coalesce", \.delivery.coalesce, from: .milliseconds(1), zero: "no delay", reload: .live,
            "Text deltas that arrive within this time after one that was sent are combined into one message."),
        .size(
            "delivery.socket_queue_bytes", \.delivery.socketQueueBytes,
            "Maximum bytes queued for the socket. Beyond it, reading from the upstream pauses."),
    ]
}
