// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS

/// Pushes messages of a back office into sessions, each idempotency key once, and retries undelivered ones once.
struct PushService: Sendable {
    enum Fault: Error {
        case unknownSession
    }

    /// The sessions that a request is addressed to.
    enum Target: Sendable, Hashable {
        case session(ULID)
        case user(String)
        case all

        var audience: Push.Audience {
            switch self {
            case .session: .session
            case .user(let user): .user(user)
            case .all: .all
            }
        }
    }

    let targets: any PushTargets
    private let requests: IdempotentRequests

    init(targets: any PushTargets, shared: SharedRequests? = nil) {
        self.targets = targets
        requests = IdempotentRequests(shared: shared)
    }

    /// Pushes a message.
    ///
    /// - Parameters:
    ///   - key: the idempotency key together with the name of the operator's token; nil for none
    ///   - body: the body of the request, which together with the target identifies it
    func push(_ request: PushRequest, to target: Target, key: String?, body: [UInt8]) async throws -> PushAnswer {
        guard let key else { return try await push(request, to: target) }
        var hash = SHA256()
        hash.update(data: Array("\(target)\n".utf8))
        hash.update(data: body)
        return try await requests.answer(key, digest: hash.finalize()) { try await push(request, to: target) }
    }

    private func push(_ request: PushRequest, to target: Target) async throws -> PushAnswer {
        let push = Push(id: Self.makeID(), request, to: target.audience)
        switch target {
        case .session(let session):
            if let result = await targets.push(push, to: session) { return PushAnswer(push.id, result) }
            guard await targets.hasEnded(session) else { throw Fault.unknownSession }
            return fail(push, .sessionEnded, session: session, user: nil)
        case .user(let user):
            let result = try await targets.push(push, toUser: user, startedAfter: nil)
            guard result.deliveries.isEmpty, result.unlisted == 0, result.failures == 0 else { return PushAnswer(push.id, result) }
            return fail(push, .noSession, session: nil, user: user)
        case .all: return PushAnswer(push.id, try await targets.pushToAll(push))
        }
    }

    private func fail(_ push: Push, _ reason: PushFailure, session: ULID?, user: String?) -> PushAnswer {
        targets.undelivered.add(FailedPush(push, reason), session: session, user: user)
        var result = PushResult()
        result.failures = 1
        return PushAnswer(push.id, result)
    }

    /// Removes undelivered pushes from the list and tries each once more: in its session, or if that has ended and the push wasn't
    /// addressed to it, in the sessions that its user began since.
    ///
    /// - Returns: the answers by the id of the entry
    func retry(_ ids: [ULID]) async -> [(entry: UndeliveredList.Entry, answer: PushAnswer)] {
        var answers: [(entry: UndeliveredList.Entry, answer: PushAnswer)] = []
        for entry in targets.undelivered.take(Set(ids)) {
            var result: PushResult?
            let push = Push(id: entry.push.id, entry.push.request, to: entry.push.audience, isRetry: true)
            if let session = entry.session { result = await targets.push(push, to: session) }
            if result == nil, push.audience != .session, let user = entry.user {
                result = try? await targets.push(push, toUser: user, startedAfter: entry.push.id)
            }
            var final = result ?? PushResult()
            if final.deliveries.isEmpty, final.failures == 0 { final.failures = 1 }
            answers.append((entry, PushAnswer(push.id, final)))
        }
        return answers
    }

    private static func makeID() -> ULID {
        var generator = SystemRandomNumberGenerator()
        return ULID(unixMilliseconds: LoopClock.wallMilliseconds(), using: &generator)
    }
}
