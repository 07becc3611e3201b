// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

extension SessionPolicy {
    /// Compiles the keys of `messages`, `limits`, `sessions`, `delivery` and `heartbeat` that apply to a session.
    package init(_ configuration: GatewayConfiguration) {
        self.init()
        let limits = configuration.limits
        let messages = configuration.messages
        let sessions = configuration.sessions
        rules = ValidationRules(
            maxBytes: messages.maxBytes, maxTextBytes: messages.maxTextBytes, audioMaxBytes: messages.audioMaxBytes,
            maxDepth: messages.maxDepth, rejectsUnknownFields: messages.unknownFields == .reject)
        text = Self.perMinute(limits.textPerMinute, burst: 0.25)
        audio = Self.perMinute(limits.audioPerMinute, burst: 0.25)
        control = Self.perMinute(limits.controlPerMinute, burst: 0.25)
        rejections = Self.perMinute(limits.refusalsPerMinute, burst: 1)
        violations = Self.perMinute(messages.maxViolations, burst: 1)
        chunks = Rate(units: Double(limits.audioChunksPerSecond), per: .seconds(1), burst: 5 * Double(limits.audioChunksPerSecond))
        realtime = Rate(units: limits.audioRealtimeFactor * 1e6, per: .seconds(1), burst: 5e6)
        bytes = Rate(units: Double(limits.bytesPerSecond), per: .seconds(1), burst: 4 * Double(limits.bytesPerSecond))
        clientFactor = limits.perAddressFactor
        global = Rate(units: Double(limits.globalPerSecond), per: .seconds(1), burst: Double(limits.globalPerSecond))
        lifetime = ConfiguredLimit.unlimitedIfZero(sessions.ttl)
        idle = ConfiguredLimit.unlimitedIfZero(sessions.idle)
        resumeWindow = sessions.resumeWindow.clampedNanoseconds
        historyMessages = sessions.historyMessages
        historyBytes = sessions.historyBytes
        duplicateIDs = sessions.duplicateIDs
        outboxMessages = ConfiguredLimit.unlimitedIfZero(sessions.outboxMessages)
        outboxBytes = ConfiguredLimit.unlimitedIfZero(sessions.outboxBytes)
        memoryBudget = ConfiguredLimit.unlimitedIfZero(sessions.memoryBudget)
        upstreamQueueBytes = ConfiguredLimit.unlimitedIfZero(configuration.delivery.upstreamQueueBytes)
        heartbeatMilliseconds = configuration.heartbeat.interval.clampedMilliseconds
        namedLimits = Self.namedLimits(configuration)
    }

    private static func perMinute(_ count: Int, burst: Double) -> Rate {
        Rate(units: Double(count), per: .seconds(60), burst: Double(count) * burst)
    }

    /// Returns the limits to announce to clients, without those that are off.
    private static func namedLimits(_ configuration: GatewayConfiguration) -> [NamedLimit] {
        let all: [(String, Double)] = [
            ("websocket.max_message_bytes", Double(configuration.websocket.maxMessageBytes)),
            ("websocket.max_fragments", Double(configuration.websocket.maxFragments)),
            ("messages.max_bytes", Double(configuration.messages.maxBytes)),
            ("messages.max_text_bytes", Double(configuration.messages.maxTextBytes)),
            ("messages.audio_max_bytes", Double(configuration.messages.audioMaxBytes)),
            ("messages.max_depth", Double(configuration.messages.maxDepth)),
            (Limit.violation.name, Double(configuration.messages.maxViolations)),
            (Limit.text.name, Double(configuration.limits.textPerMinute)),
            (Limit.audio.name, Double(configuration.limits.audioPerMinute)),
            (Limit.chunk.name, Double(configuration.limits.audioChunksPerSecond)),
            (Limit.realtime.name, configuration.limits.audioRealtimeFactor),
            (Limit.control.name, Double(configuration.limits.controlPerMinute)),
            (Limit.rejection.name, Double(configuration.limits.refusalsPerMinute)),
            (Limit.byte.name, Double(configuration.limits.bytesPerSecond)),
            ("limits.per_address_factor", configuration.limits.perAddressFactor),
            ("limits.global_per_second", Double(configuration.limits.globalPerSecond)),
            ("sessions.duplicate_ids", Double(configuration.sessions.duplicateIDs)),
            ("sessions.outbox_messages", Double(configuration.sessions.outboxMessages)),
            ("sessions.outbox_bytes", Double(configuration.sessions.outboxBytes)),
            ("sessions.memory_budget", Double(configuration.sessions.memoryBudget)),
            ("delivery.upstream_queue_bytes", Double(configuration.delivery.upstreamQueueBytes)),
        ]
        return all.filter { $0.1 > 0 }.map { NamedLimit($0.0, $0.1) }
    }
}
