import GatewayCore
import GatewayServer

/// How long the gateway is waited for.
extension Conversation {
    /// For the gateway's answer to `bye`.
    private static let farewell = Duration.seconds(5)
    /// The wait for a whole message, in timeouts, while parts of one or pings come.
    private static let patienceFactor = 10

    var isAwaiting: Bool { !resumption.isPending && (!isOpen || isLeaving || !exchanges.isEmpty) }

    var patience: Instant? { isAwaiting ? patienceEnds : nil }

    /// Something was sent, or came: the wait begins anew, later by `delay` when we were told to wait.
    func renewPatience(after delay: Duration = .zero) {
        lastSign = now
        patienceEnds = now.advanced(by: isLeaving ? min(plan.timeout, Self.farewell) : plan.timeout).advanced(by: delay)
    }

    /// Waits longer when bytes came that aren't a whole message yet, ``patienceFactor`` times the timeout at most.
    func extendPatience() -> Bool {
        let idle = client.idle
        guard !isLeaving, idle < plan.timeout, (now - lastSign) / Self.patienceFactor < Instant.Duration(plan.timeout)
        else { return false }
        patienceEnds = now.advanced(by: plan.timeout - idle)
        return true
    }

    func loseHeart() -> TalkStatus? {
        let what = exchanges.map(\.id).joined(separator: ", ")
        let time = ConfigurationNotation.text(plan.timeout)
        if isOpen, !isLeaving, isInteractive, StandardInput.isTerminal {
            terminal.error("no answer to \(what) in \(time)")
            exchanges = []
            unacknowledged = [:]
            recording = nil
            return nil
        }
        terminal.error(
            isLeaving ? "no answer to bye" : isOpen ? "no answer to \(what) in \(time)" : "no session in \(time)")
        client.close()
        return isLeaving && hasFailed ? .failed : .timedOut
    }
}
