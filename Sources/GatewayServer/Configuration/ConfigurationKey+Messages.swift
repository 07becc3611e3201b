import GatewayCore

extension ConfigurationKey {
    /// `messages.*`, `limits.*`, `sessions.*`, `delivery.*`.
    static let messaging: [ConfigurationKey] = [
        .size("messages.max_bytes", \.messages.maxBytes, reload: .live, "Size of a JSON message other than audio, raw."),
        .size("messages.max_text_bytes", \.messages.maxTextBytes, reload: .live, "Size of a text, sanitized, in UTF-8."),
        .size("messages.audio_max_bytes", \.messages.audioMaxBytes, reload: .live, "Size of an audio chunk or message, decoded."),
        .count("messages.max_depth", \.messages.maxDepth, in: 1...64, zero: nil, reload: .live, "Nesting of JSON."),
        .choice("messages.unknown_fields", \.messages.unknownFields, reload: .live, "What happens to a field that no message has."),
        .count(Limit.violation.name, \.messages.maxViolations, reload: .live, "Violations a minute, of one session. Beyond it: 4505."),

        .count(
            Limit.text.name, \.limits.textPerMinute, reload: .live, "Texts a minute, of one session, with a burst of a quarter."),
        .count(
            Limit.audio.name, \.limits.audioPerMinute, reload: .live, "Audio messages and opened streams a minute, of one session."
        ),
        .count(
            Limit.chunk.name, \.limits.audioChunksPerSecond, reload: .live,
            "Binary frames a second, of one session, with a burst of 5 s."),
        .factor(
            Limit.realtime.name, \.limits.audioRealtimeFactor, reload: .live,
            "Seconds of audio a second, of one session, with a burst of 5 s."),
        .count(
            Limit.control.name, \.limits.controlPerMinute, reload: .live,
            "ping, status, cancel and auth a minute, of one session. An ack counts in bytes only."),
        .count(
            Limit.refusal.name, \.limits.refusalsPerMinute, reload: .live,
            "Messages that a limit refused, a minute, of one session. Beyond it: 4505."),
        .size(
            Limit.byte.name, \.limits.bytesPerSecond, reload: .live,
            "Bytes a second, inflated, of one session, with a burst of 4 s."),
        .factor(
            "limits.per_address_factor", \.limits.perAddressFactor, zero: "no limit by address", reload: .live,
            "All sessions of one address together may send so many times what one may, also after they have ended."),
        .count("limits.global_per_second", \.limits.globalPerSecond, reload: .live, "Messages a second, of all sessions together."),

        .count("sessions.max", \.sessions.max, "Sessions with a connection. Beyond it: 503."),
        .count(
            "sessions.max_detached", \.sessions.maxDetached,
            "Sessions that wait to be resumed. Beyond it one of the same address ends, else one of the address that has most; else 503."),
        .duration("sessions.ttl", \.sessions.ttl, zero: "no limit", "A session ends so long after it began."),
        .duration("sessions.idle", \.sessions.idle, zero: "no limit", "A session ends when no message came for so long."),
        .duration("sessions.resume_window", \.sessions.resumeWindow, "A session is kept so long without a connection."),
        .duration("sessions.sweep", \.sessions.sweep, "What has expired is freed so often; the deadlines themselves act on time."),
        .count("sessions.history_messages", \.sessions.historyMessages, zero: "no history", "Messages of history; the oldest are pruned."),
        .size("sessions.history_bytes", \.sessions.historyBytes, zero: "no history", "Size of the history; the oldest are pruned."),
        .count("sessions.duplicate_ids", \.sessions.duplicateIDs, zero: "none", "Accepted ids that are remembered."),
        .count("sessions.outbox_messages", \.sessions.outboxMessages, "Messages without an ack that are kept for replay."),
        .size("sessions.outbox_bytes", \.sessions.outboxBytes, "Bytes without an ack that are kept for replay."),
        .size(
            "sessions.memory_budget", \.sessions.memoryBudget,
            "Everything that one session holds. At it history is pruned, then new work refused, then 4506."),
        .size(
            "sessions.total_memory_budget", \.sessions.totalMemoryBudget,
            "Everything that all sessions hold. At 90 % histories are pruned and new sessions get 503, at 100 % new work is refused and waiting"
                + " sessions end, those of the address that holds most first."),

        .duration(
            "delivery.send_timeout", \.delivery.sendTimeout, "No byte taken by the socket for so long while some wait: slow consumer, 4002."
        ),
        .size(
            "delivery.upstream_queue_bytes", \.delivery.upstreamQueueBytes,
            "Bytes that wait for the upstream, of one session. Chunks beyond are refused; reading never pauses for an upstream."),
        .duration(
            "delivery.coalesce", \.delivery.coalesce, from: .milliseconds(1), zero: "no waiting", reload: .live,
            "Streamed text is gathered for so long before it is sent."),
        .size(
            "delivery.socket_queue_bytes", \.delivery.socketQueueBytes,
            "Bytes that wait for the socket. Beyond it reading from the upstream pauses."),
    ]
}
