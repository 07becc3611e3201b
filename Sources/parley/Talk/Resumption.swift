// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import ParleyClient
import Synchronization

/// The state of reconnecting after a lost connection.
struct Resumption {
    /// An attempt to connect, and its result once it is complete.
    final class Attempt: Sendable {
        private let outcome = Mutex<Result<ClientWebSocket, ClientWebSocketError>?>(nil)

        var result: Result<ClientWebSocket, ClientWebSocketError>? {
            get { outcome.withLock { $0 } }
            set { outcome.withLock { $0 = newValue } }
        }
    }

    /// Someone waits at the terminal, so the delays stay short, and the deadline limits the number of attempts.
    private static let policy = {
        var policy = BackoffPolicy()
        policy.cap = .seconds(5)
        policy.attempts = nil
        return policy
    }()

    /// The newest resume token; nil before the first session, and if the gateway issued none.
    private(set) var token: String?
    private(set) var hadSession = false
    /// How the connection was lost.
    private(set) var closing = ClientClosing.lost("the connection was closed")
    /// The time after which no further attempt is made; nil while a connection is in use. A `session` message alone doesn't reset it: another
    /// message has to follow, so that connections that are lost right after `session` don't extend it.
    private(set) var deadline: Instant?
    /// The time of the next attempt; nil while an attempt is running.
    private(set) var due: Instant?
    var attempt: Attempt?
    private var backoff = Backoff(Self.policy)
    private var hasAttempted = false
    private(set) var isPending = false

    mutating func opened(_ message: ServerMessage) {
        hadSession = true
        token = message.resumeToken ?? token
    }

    mutating func lost(_ closing: ClientClosing, now: Instant, timeout: Duration) {
        self.closing = closing
        isPending = true
        if deadline == nil { deadline = now.advanced(by: timeout) }
        due = hasAttempted ? now.advanced(by: backoff.next() ?? .zero) : now
    }

    mutating func attemptStarted(_ attempt: Attempt) {
        self.attempt = attempt
        hasAttempted = true
        due = nil
    }

    /// Schedules the next attempt.
    ///
    /// - Returns: false if it would start after the deadline
    mutating func failed(retryAfter: Duration, now: Instant) -> Bool {
        attempt = nil
        let next = now.advanced(by: backoff.next(minimum: retryAfter) ?? .zero)
        guard let deadline, next <= deadline else { return false }
        due = next
        return true
    }

    mutating func connected() {
        attempt = nil
        isPending = false
    }

    /// Ends the recovery after a message other than `session` was received: the connection works.
    mutating func connectionConfirmed() {
        guard !isPending else { return }
        deadline = nil
        hasAttempted = false
        backoff.reset()
    }
}
