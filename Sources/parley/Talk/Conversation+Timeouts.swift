import GatewayCore
import GatewayServer

/// Timeouts: how long the conversation waits for the gateway.
extension Conversation {
    /// Maximum wait for the close frame that follows `bye`.
    private static let byeTimeout = Duration.seconds(5)
    /// Maximum wait for a whole message while partial messages or pings arrive, as a multiple of the timeout.
    private static let extensionFactor = 10

    var isAwaiting: Bool { !resumption.isPending && (!isOpen || isLeaving || !exchanges.isEmpty) }

    var patience: Instant? { isAwaiting ? patienceEnds : nil }

    /// Restarts the timeout after a message was sent or received; `delay` is added if the gateway asked the client to wait.
    func renewPatience(after delay: Duration = .zero) {
        lastSign = now
        patienceEnds = now.advanced(by: isLeaving ? min(plan.timeout, Self.byeTimeout) : plan.timeout).advanced(by: delay)
    }

    /// Extends the timeout if bytes arrived that aren't a whole message yet, up to ``extensionFactor`` times the timeout in all.
    ///
    /// - Returns: false if the timeout has expired for good
    func extendPatience() -> Bool {
        let idle = client.idle
        guard !isLeaving, idle < plan.timeout, (now - lastSign) / Self.extensionFactor < Instant.Duration(plan.timeout)
        else { return false }
        patienceEnds = now.advanced(by: plan.timeout - idle)
        return true
    }

    /// Handles an expired timeout: on a terminal the unanswered requests are dropped, otherwise the conversation ends.
    func loseHeart() -> TalkStatus? {
        let requests = exchanges.map(\.id).joined(separator: ", ")
        let time = ConfigurationNotation.text(plan.timeout)
        if isOpen, !isLeaving, isInteractive, StandardInput.isTerminal {
            terminal.error("no response to \(requests) within \(time)")
            exchanges = []
            unacknowledged = [:]
            recording = nil
            return nil
        }
        terminal.error(
            isLeaving ? "no response to bye" : isOpen ? "no response to \(requests) within \(time)" : "no session within \(time)")
        client.close()
        return isLeaving && hasFailed ? .failed : .timedOut
    }
}
