// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import Synchronization

/// The pushes with an idempotency key: each is performed once, and concurrent requests with its key wait for its answer.
final class IdempotentRequests: Sendable {
    enum Fault: Error {
        /// The key belongs to another request.
        case conflict
        /// The table of keys is full.
        case full
        /// Another node performs the request with this key.
        case pending
        /// The node that performed the request with this key has died.
        case unknownOutcome
    }

    private struct State {
        var table = IdempotencyTable<PushAnswer, SHA256Digest>()
        var waiting: [String: [CheckedContinuation<PushAnswer?, Never>]] = [:]
    }

    private let state = Mutex(State())
    /// The keys of all nodes; nil outside of a cluster.
    private let shared: SharedRequests?

    init(shared: SharedRequests? = nil) { self.shared = shared }

    /// Returns the answer of the first request with this key.
    ///
    /// - Parameters:
    ///   - digest: identifies the request
    ///   - perform: performs the request; a key whose request throws is forgotten
    func answer(
        _ key: String, digest: SHA256Digest, perform: () async throws -> PushAnswer
    ) async throws -> PushAnswer {
        while true {
            switch state.withLock({ $0.table.begin(key, digest: digest, wall: LoopClock.wallMilliseconds()) }) {
            case .conflict: throw Fault.conflict
            case .full: throw Fault.full
            case .repeated(let answer): return answer
            case .wait: if let answer = await wait(for: key) { return answer }
            case .perform:
                do {
                    let answer =
                        if let shared { try await shared.answer(key, digest: digest, perform: perform) } else { try await perform() }
                    end(key, answer)
                    return answer
                } catch {
                    end(key, nil)
                    throw error
                }
            }
        }
    }

    /// Waits for the end of the request with this key; returns nil if it failed, or has ended already.
    private func wait(for key: String) async -> PushAnswer? {
        await withCheckedContinuation { continuation in
            let isWaiting = state.withLock { state in
                guard state.table.isPending(key) else { return false }
                state.waiting[key, default: []].append(continuation)
                return true
            }
            if !isWaiting { continuation.resume(returning: nil) }
        }
    }

    private func end(_ key: String, _ answer: PushAnswer?) {
        let waiting = state.withLock { state in
            if let answer { state.table.complete(key, answer, bytes: answer.byteCount) } else { state.table.abandon(key) }
            return state.waiting.removeValue(forKey: key) ?? []
        }
        for continuation in waiting { continuation.resume(returning: answer) }
    }
}
