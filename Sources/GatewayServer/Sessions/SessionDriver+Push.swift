// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// Pushes into the session, and the commands of operators who supervise it.
extension SessionDriver {
    /// Pushes a message into the session, and lists it as undelivered if that fails.
    func push(_ push: Push) -> PushOutcome {
        var outcome = PushOutcome.failed(.sessionEnded)
        handle { outcome = session.push(push, effects: &loop.effects) }
        switch outcome {
        case .queued: if push.timeToLive != nil { sessions.registerPushDeadline(of: self) }
        case .failed(let reason): list([FailedPush(push, reason)])
        }
        return outcome
    }

    /// Withdraws a push whose commit failed.
    func withdraw(_ push: Push, _ key: RequestKey) {
        handle { session.withdrawPush(key) }
        list([FailedPush(push, .storeUnavailable)])
    }

    /// Withdraws the expired pushes.
    func expirePushes() {
        var failed: [FailedPush] = []
        handle { failed = session.expirePushes(wall: loop.effects.wall) }
        list(failed)
        sessions.registerPushDeadline(of: self)
    }

    /// Lists pushes of the session as undelivered.
    func list(_ failed: [FailedPush]) {
        for push in failed { loop.shared.undelivered.add(push, session: session.id, user: session.user) }
    }

    /// Performs a command of an operator.
    func perform(_ command: SupervisionCommand, by name: String) -> Result<SupervisionReport, SupervisionFault> {
        var result = Result<SupervisionReport, SupervisionFault>.failure(.notTakenOver)
        handle {
            do throws(SupervisionFault) {
                result = .success(try session.perform(command, by: name, effects: &loop.effects))
            } catch {
                result = .failure(error)
            }
        }
        return result
    }

    /// Hands the session back when its operator is idle. For a detached session; an attached one is ticked by its connection.
    func tickSupervision(now: Instant) {
        guard let name = session.idleOperator(at: now) else { return }
        handle { session.tickSupervision(effects: &loop.effects) }
        auditHandBack(from: name)
    }

    /// Records the automatic handback of a session in the audit log.
    func auditHandBack(from name: String) {
        loop.audit(.handBack, of: nil, session: session.id, user: name, [.init("reason", "takeover_timeout")])
    }

    /// Handles an input that doesn't come from the client.
    private func handle(_ body: () -> Void) {
        loop.withInput {
            body()
            dispatch()
            storeChanges()
            flush()
        }
    }
}
