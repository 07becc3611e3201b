// SPDX-License-Identifier: Apache-2.0

/// The state machine of one client's session, across its connections.
///
/// Inputs are messages of the client (`Session+Receiving`, `+Text`, `+Audio`, `+Control`), events of upstreams (`+Upstream`), connections
/// that open and close (`+Opening`, `+Resuming`), ticks of a timer (`+Deadlines`) and the outcome of commits (`+Storing`, `+Outage`), and grants
/// (`+Access`). Each
/// input writes its effects to an ``Effects`` value: replies, commands to the upstream, a close. Sequenced messages wait in the ``outbox``.
/// A session is composed of ``SessionAdmission`` (limits), ``RequestTable`` (requests in flight), ``AudioInput`` (the open stream),
/// ``History`` and ``RecentIDs``.
///
/// A session has no clock, socket or thread, and isn't copyable: exactly one exists for each session id.
package struct Session: ~Copyable, Sendable {
    package let id: ULID
    package internal(set) var startedAt: Instant
    /// ``startedAt`` in Unix milliseconds. Stored, because each conversion between the two clocks gives a slightly different result.
    package internal(set) var startedAtMilliseconds: Int64
    /// When the current or last connection was opened, in Unix milliseconds.
    package internal(set) var connectedAt: Int64
    /// When the session expires, in Unix milliseconds; `Int64.max` if it never does.
    package internal(set) var expiresAt: Int64

    package var outbox: Outbox
    package var history: History
    package internal(set) var timeline = Timeline()
    package internal(set) var turnLog = TurnLog()
    package var recentIDs: RecentIDs
    package var audioInput = AudioInput()
    package var memoryUsage = MemoryUsage()
    /// The highest total memory usage so far, in bytes.
    package internal(set) var memoryPeak = 0
    package var counts = SessionCounts()
    package internal(set) var inFlight = RequestTable()
    package internal(set) var lastMessageAt: Instant
    /// When the session was detached; nil while it is attached.
    package internal(set) var detachedAt: Instant?
    /// The reason why the session has ended and can't be resumed; nil until then.
    package internal(set) var ending: SessionEnding?
    package internal(set) var credentials = ResumeCredentials()
    /// The smoothed round-trip time of the connection, set by the connection handler; nil before the first pong.
    package var roundTripNanoseconds: Int64?

    package internal(set) var access = SessionAccess()
    /// The policy of the configuration, from which ``policy`` differs by the claims of the grant.
    var basePolicy: SharedPolicy
    var admission: SessionAdmission
    /// The client of the current or last connection. The session's resources count against this client's limits.
    package internal(set) var client = ClientKey.unknown
    /// The account that the session's usage is charged to; nil without a user.
    package internal(set) var account: UserAccount?
    /// The quotas of the user's token, which replace configured ones.
    var quotaClaims: [Quota: Double] = [:]
    package internal(set) var quotas = SessionQuotas()
    /// The path of the client's upgrade request.
    package var path = ""
    /// The trace of the client's connection; nil without tracing.
    package var origin: TraceOrigin?
    /// The smoothed time until a response begins, in nanoseconds; nil before the first response.
    var responseDelay: Int64?
    var hasAnnouncedExpiry = false
    var deliveryMarks = DeliveryMarks()
    var unreportedSpeech = UnreportedSpeech()
    /// The newest playback progress that `limits.control_per_minute` held back.
    var heldStatus: ClientMessage.Status?
    /// Incremented with every change that has to be stored, other than sequenced messages, ids and history.
    var changes: UInt64 = 1
    /// ``changes`` as of the last ``store(effects:)``.
    var storedChanges: UInt64 = 0
    /// The pushes that the client hasn't acknowledged.
    var pushes = PendingPushes()
    /// Nil unless an operator has taken the session over or whispered.
    var supervision: Supervision?

    package init(id: ULID, policy shared: SharedPolicy, global: SharedLimiter, now: Instant, wall: Int64) {
        self.id = id
        let policy = shared.value
        basePolicy = shared
        admission = SessionAdmission(policy: shared, global: global)
        startedAt = now
        startedAtMilliseconds = wall
        lastMessageAt = now
        connectedAt = wall
        expiresAt = policy.lifetime == .max ? .max : wall.addingReportingOverflow(policy.lifetime / 1_000_000).partialValue
        outbox = Outbox(
            maximumCount: policy.outboxMessages, maximumBytes: policy.outboxBytes, storesFrames: policy.storesAudioFrames)
        history = History(maximumCount: policy.historyMessages, maximumBytes: policy.historyBytes)
        recentIDs = RecentIDs(capacity: policy.duplicateIDs)
    }

    package var isEnded: Bool { ending != nil }

    /// The policy of the configuration, replaced when it is reloaded. Limiters keep their debts.
    package var sharedPolicy: SharedPolicy {
        get { basePolicy }
        set {
            basePolicy = newValue
            applyClaims()
            updateQuotas()
        }
    }

    /// The policy, as a reference: reading a field of a copied policy would copy all of it (600 bytes).
    package var policy: SharedPolicy { admission.policy }

    /// Accounts for a write to the socket.
    ///
    /// - Returns: whether a message waits for the socket, or an `ack` will soon be due. Returned here, because a property of a session that
    ///   another module reads copies the whole session (3 KB).
    package mutating func finishWrite(effects: inout Effects) -> Bool {
        enforceBudget(effects: &effects)
        return outbox.hasWaiting || audioInput.acknowledgeDeadline != nil
    }

    /// Whether the audio input is in a state in which it accepts a binary message as a chunk.
    package var acceptsBinary: Bool { if case .chunk = audioInput.verdict { true } else { false } }

    /// Appends a sequenced message to the outbox.
    @inline(__always)
    mutating func sequence(
        _ message: borrowing some OutgoingMessage & ~Copyable, kind: Outbox.Kind = .json, request: RequestKey?, effects: inout Effects
    ) {
        effects.scratch.removeAll(keepingCapacity: effects.scratch.capacity <= 262_144)
        effects.scratch.append(message, sequence: outbox.nextSequence)
        effects.scratch.withRawSpan { outbox.append($0, kind: kind, request: request) }
        counts.messagesOut &+= 1
    }
}
