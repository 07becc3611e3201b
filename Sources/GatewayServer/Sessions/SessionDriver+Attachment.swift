// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Logging

/// Attaching a session to a connection, and detaching it.
extension SessionDriver {
    /// Attaches the session to a connection, which then calls ``open()``.
    package func attach(to connection: Connection, as kind: AttachmentKind) {
        self.connection = connection
        attachmentKind = kind
        connection.sessionID = session.id
        session.path = connection.path
        session.origin = connection.trace?.origin
        let client = connection.client
        let limiters = client.isExempt ? nil : loop.shared.limiters.limiters(of: client.key, now: loop.sharedNow)
        session.assign(to: connection.subject, limiters: limiters)
        guard let grant = connection.grant else { return }
        session.authorize(grant, wall: LoopClock.wallMilliseconds())
        assign(user: grant.user, quotas: grant.parley.quotas)
        loop.shared.access.users.update(connection.id, of: grant.user, session: session.id, issuedAt: grant.issuedAt)
    }

    package func disconnected() {
        guard let connection else { return }
        self.connection = nil
        addTraffic(of: connection)
        session.note(.detached(connection.closeCode), of: connection.id, wall: LoopClock.wallMilliseconds())
        if let ending = session.ending { return end(ending, connection: connection) }
        detach()
        loop.log("session detached", as: .sessionDetached, of: session.id, connection: connection.id)
        registerDetached()
    }

    /// Closes the session's connection, because another one takes the session over.
    func detachForTakeover() {
        guard let connection else { return }
        self.connection = nil
        addTraffic(of: connection)
        session.note(.takenOver, of: connection.id, wall: LoopClock.wallMilliseconds())
        loop.audit(.takeOver, of: connection)
        connection.socket?.retire(Closing(code: .takenOver, reason: "taken over by another connection"))
        detach()
    }

    /// Marks the session as detached in the registry, after the loss of its connection or of the connection that was resuming it.
    package func registerDetached() {
        account()
        sessions.displace(loop.shared.sessions.detach(session.id, isUnused: isUnused))
        scheduleDemand()
    }

    private func detach() {
        session.detach(now: loop.clock.now)
        loop.withInput { storeChanges() }
        guard let link else { return }
        // A detached session's outbox doesn't drain: new demand is limited to the space left in it.
        demanded = max(0, demanded - link.withdraw())
        guard session.inFlight.isEmpty else { return }
        closeLink()
    }

    private func addTraffic(of connection: Connection) {
        session.counts.bytesIn &+= connection.bytesIn
        session.counts.bytesOut &+= connection.bytesOut
    }
}

/// The transfer of a session to another event loop.
extension SessionDriver {
    /// Finishes the session's work on this event loop.
    func finishOnLoop() {
        loop.withInput {
            coalescer.release(at: loop.effects.now, all: true) { session.receive($0, effects: &loop.effects) }
            dispatch()
            finishInput()
        }
        link?.detach()
    }

    /// Moves the session out of this driver, which must not be used afterwards.
    func makeTransfer() -> SessionTransfer {
        var moved = Session(id: session.id, policy: loop.settings.session, global: loop.shared.global, now: loop.clock.now, wall: 0)
        swap(&moved, &session)
        defer { link = nil }
        return SessionTransfer(
            session: moved, coalescer: coalescer, link: link, demanded: demanded, taps: taps,
            clockOffset: .nanoseconds(loop.clock.offset))
    }
}
