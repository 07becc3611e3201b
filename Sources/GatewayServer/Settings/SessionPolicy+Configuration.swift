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
        for (limit, value) in Self.limits(configuration) { set(limit, value) }
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
        takeoverTimeout = ConfiguredLimit.unlimitedIfZero(configuration.supervision.takeoverTimeout)
        tokenLeeway = configuration.auth.leeway.clampedMilliseconds
        claimsFactor = Double(configuration.auth.claimsFactor)
        heartbeatMilliseconds = configuration.heartbeat.interval.clampedMilliseconds
        quotas = configuration.quotas
        if configuration.store.kind == .redis {
            storesAudioFrames = false
            durability = configuration.store.acknowledge.rawValue
        }
        namedLimits = Self.namedLimits(configuration)
    }

    private static func limits(_ configuration: GatewayConfiguration) -> [(Limit, Double)] {
        let limits = configuration.limits
        return [
            (.violation, Double(configuration.messages.maxViolations)), (.text, Double(limits.textPerMinute)),
            (.audio, Double(limits.audioPerMinute)), (.chunk, Double(limits.audioChunksPerSecond)), (.realtime, limits.audioRealtimeFactor),
            (.control, Double(limits.controlPerMinute)), (.rejection, Double(limits.refusalsPerMinute)),
            (.byte, Double(limits.bytesPerSecond)),
        ]
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
            ("limits.per_address_factor", configuration.limits.perAddressFactor),
            ("limits.global_per_second", Double(configuration.limits.globalPerSecond)),
            ("sessions.duplicate_ids", Double(configuration.sessions.duplicateIDs)),
            ("sessions.outbox_messages", Double(configuration.sessions.outboxMessages)),
            ("sessions.outbox_bytes", Double(configuration.sessions.outboxBytes)),
            ("sessions.memory_budget", Double(configuration.sessions.memoryBudget)),
            ("delivery.upstream_queue_bytes", Double(configuration.delivery.upstreamQueueBytes)),
        ]
        return (all + limits(configuration).map { ($0.name, $1) }).filter { $0.1 > 0 }.map { NamedLimit($0.0, $0.1) }
    }
}
