// SPDX-License-Identifier: Apache-2.0

/// The response to a `status` without a state: the counters, memory usage and remaining limits of the session.
package struct SessionStatusMessage: OutgoingMessage {
    package static let type: StaticString = "status"
    /// The `id` of the client's `status`.
    package var id: MessageID?
    package var session: ULID
    package var counts: SessionCounts
    package var roundTripNanoseconds: Int64?
    /// Unix milliseconds.
    package var connectedAt: Int64
    /// Unix milliseconds; nil for a session that doesn't expire.
    package var expiresAt: Int64?
    package var memory: MemoryUsage
    /// The memory budget in bytes; 0 for none.
    package var memoryBudget: Int
    /// The remaining units of each limit by configuration key; disabled limits are omitted.
    package var limits: [(name: StaticString, units: Double)]
    /// The remaining amount of each quota of the user, by configuration key.
    package var quotas: [SessionPolicy.NamedLimit]
    package var upstream: UpstreamState

    package init(
        _ id: MessageID?, session: ULID, counts: SessionCounts, roundTripNanoseconds: Int64?, connectedAt: Int64, expiresAt: Int64?,
        memory: MemoryUsage, memoryBudget: Int, limits: [(name: StaticString, units: Double)], quotas: [SessionPolicy.NamedLimit] = [],
        upstream: UpstreamState
    ) {
        self.id = id
        self.session = session
        self.counts = counts
        self.roundTripNanoseconds = roundTripNanoseconds
        self.connectedAt = connectedAt
        self.expiresAt = expiresAt
        self.memory = memory
        self.memoryBudget = memoryBudget
        self.limits = limits
        self.quotas = quotas
        self.upstream = upstream
    }

    package var expectedBytes: Int { 1024 }

    package func write(to writer: inout JSONWriter) {
        if let id { writer.member("id", id) }
        writer.object("session") { writer in
            writer.member("session_id", session)
            writer.member("messages_in", counts.messagesIn)
            writer.member("messages_out", counts.messagesOut)
            writer.member("errors", counts.errors)
            writer.member("audio_seconds", Double(counts.audioNanoseconds / 1_000_000) / 1000)
            if let roundTripNanoseconds {
                writer.member("rtt_ms", Double(roundTripNanoseconds / 1000) / 1000)
            } else {
                writer.member(null: "rtt_ms")
            }
            writer.member("connected_at", connectedAt)
            if let expiresAt { writer.member("expires_at", expiresAt) } else { writer.member(null: "expires_at") }
        }
        writer.member("memory", memory, budget: memoryBudget)
        writer.object("limits") { writer in
            for (name, units) in limits { writer.member(name, units) }
            for quota in quotas { writer.member(named: quota.name, quota.value) }
        }
        writer.object("upstream") { $0.member("state", upstream.rawValue) }
    }
}

extension JSONWriter {
    /// Writes the memory usage of a session by part, in bytes.
    fileprivate mutating func member(_ name: StaticString, _ memory: MemoryUsage, budget: Int) {
        object(name) { writer in
            writer.member("total", memory.total)
            writer.member("budget", budget)
            writer.member("base", MemoryUsage.base)
            writer.member("receive_buffer", memory.connection.receiveBuffer)
            writer.member("assembler", memory.connection.assembler)
            writer.member("deflate", memory.connection.deflate)
            writer.member("socket_queue", memory.connection.socketQueue)
            writer.member("outbox", memory.outbox)
            writer.member("history", memory.history)
            writer.member("duplicate_ids", memory.duplicateIDs)
            writer.member("upstream_queue", memory.upstreamQueue)
            writer.member("upstream_answers", memory.upstreamAnswers)
            writer.member("requests", memory.requests)
            writer.member("grant", memory.grant)
        }
    }
}
