import GatewayCore
import GatewayServer
import Synchronization

/// How far a talk is with getting a lost connection back.
struct Resumption {
    /// The way of an attempt's result to the conversation.
    final class Attempt: Sendable {
        private let outcome = Mutex<Result<ClientWebSocket, ClientWebSocketError>?>(nil)

        var result: Result<ClientWebSocket, ClientWebSocketError>? {
            get { outcome.withLock { $0 } }
            set { outcome.withLock { $0 = newValue } }
        }
    }

    private static let firstDelay = Duration.milliseconds(250)
    private static let longestDelay = Duration.seconds(5)

    /// The newest token; nil before the first session, and when the gateway gave none.
    private(set) var token: String?
    private(set) var hadSession = false
    /// How the connection was lost.
    private(set) var closing = ClientClosing.lost("the connection was closed")
    /// When attempts end; nil while there is a connection. Not moved by a `session` alone: something else has to come on a connection.
    private(set) var deadline: Instant?
    /// When the next attempt begins; nil while one is under way.
    private(set) var due: Instant?
    var attempt: Attempt?
    private var attempts = 0
    private(set) var isPending = false

    mutating func opened(_ message: ServerMessage) {
        hadSession = true
        token = message.resumeToken ?? token
    }

    mutating func lost(_ closing: ClientClosing, now: Instant, patience: Duration) {
        self.closing = closing
        isPending = true
        if deadline == nil { deadline = now.advanced(by: patience) }
        due = attempts == 0 ? now : now.advanced(by: delay)
    }

    mutating func begun(_ attempt: Attempt) {
        self.attempt = attempt
        attempts += 1
        due = nil
    }

    /// - Returns: false when there is no time left
    mutating func failed(retryAfter: Duration?, now: Instant) -> Bool {
        attempt = nil
        let next = now.advanced(by: max(retryAfter ?? .zero, delay))
        guard let deadline, next <= deadline else { return false }
        due = next
        return true
    }

    mutating func connected() {
        attempt = nil
        isPending = false
    }

    /// A message came that isn't a `session`: the connection is of use.
    mutating func settled() {
        guard !isPending else { return }
        deadline = nil
        attempts = 0
    }

    private var delay: Duration { min(Self.firstDelay * (1 << min(max(attempts - 1, 0), 10)), Self.longestDelay) }
}
