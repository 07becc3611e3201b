/// The state machine of one client's session, across its connections.
///
/// Inputs are messages of the client (`Session+Receiving`, `+Text`, `+Audio`, `+Control`), events of upstreams (`+Upstream`), connections that open
/// and close (`+Opening`, `+Resuming`), ticks of a timer (`+Deadlines`) and the outcome of commits (`+Storing`, `+Outage`). The effects of each are
/// written to a ``Effects``: replies, commands to the upstream, a close. Sequenced messages wait in the ``outbox``. A session decides with values of its
/// own: ``SessionAdmission`` (limits), ``RequestTable`` (requests in flight), ``AudioIntake`` (the open recording), ``History``, ``RememberedIDs``.
///
/// It has no clock, socket or thread, and isn't copyable: exactly one exists for each session id.
package struct Session: ~Copyable, Sendable {
    package let id: ULID
    package internal(set) var startedAt: Instant
    /// The same in Unix milliseconds. Stored, because a conversion between the two clocks gives a slightly different result each time.
    package internal(set) var beganAt: Int64
    /// When the connection that it has, or had last, was opened. Unix milliseconds.
    package internal(set) var connectedAt: Int64
    /// Unix milliseconds.
    package internal(set) var expiresAt: Int64

    package var outbox: Outbox
    package var history: History
    package internal(set) var timeline = Timeline()
    package var remembered: RememberedIDs
    package var intake = AudioIntake()
    package var ledger = Ledger()
    /// The most that the ledger ever came to.
    package internal(set) var memoryPeak = 0
    package var counts = SessionCounts()
    package internal(set) var inFlight = RequestTable()
    package internal(set) var lastMessageAt: Instant
    /// Since when it has no connection; nil while it has one.
    package internal(set) var detachedAt: Instant?
    /// It has ended, by `bye` or by a fatal error: it can't be resumed.
    package internal(set) var ending: SessionEnding?
    package internal(set) var credentials = ResumeCredentials()
    /// Reported by the edge: the smoothed round-trip time.
    package var roundTripNanoseconds: Int64?

    var admission: SessionAdmission
    /// The client of the connection that the session has, or had last. The session's resources count for it.
    package internal(set) var client = ClientKey.unknown
    /// The path that the client has connected to.
    package var path = ""
    /// Nanoseconds until an answer begins, smoothed; nil before the first.
    var answerDelay: Int64?
    var announcedEnd = false
    /// Progress of playback over `limits.control_per_minute`, the newest only.
    var heldStatus: ClientMessage.Status?
    /// Goes up with everything that the store has to hear of, beside messages, ids and history.
    var changes: UInt64 = 1
    /// ``changes`` as of the last time that the store heard of it.
    var storedChanges: UInt64 = 0

    package init(id: ULID, policy shared: SharedPolicy, global: SharedLimiter, now: Instant, wall: Int64) {
        self.id = id
        let policy = shared.value
        admission = SessionAdmission(policy: shared, global: global)
        startedAt = now
        beganAt = wall
        lastMessageAt = now
        connectedAt = wall
        expiresAt = policy.lifetime == .max ? .max : wall.addingReportingOverflow(policy.lifetime / 1_000_000).partialValue
        outbox = Outbox(maximumCount: policy.outboxMessages, maximumBytes: policy.outboxBytes)
        history = History(maximumCount: policy.historyMessages, maximumBytes: policy.historyBytes)
        remembered = RememberedIDs(capacity: policy.duplicateIDs)
    }

    package var isOver: Bool { ending != nil }

    /// Changes with a reload; what limiters have counted stays.
    package var sharedPolicy: SharedPolicy {
        get { admission.policy }
        set { admission.policy = newValue }
    }

    package var policy: SessionPolicy { _read { yield admission.policy.value } }

    /// Whether something waits for the socket, or soon will.
    // Called, it would be passed a copy of all of the session's 3 KB.
    @inline(__always)
    package var hasWaiting: Bool { outbox.hasWaiting || intake.acknowledgeDeadline != nil }

    /// Whether a binary message would be more than ignored or refused.
    package var takesBinary: Bool { if case .chunk = intake.verdict { true } else { false } }

    /// Puts a sequenced message into the outbox.
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
