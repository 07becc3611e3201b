// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import ParleyClient

/// Timeouts: how long the conversation waits for the gateway.
extension Conversation {
    /// Maximum wait for the close frame that follows `bye`.
    private static let byeTimeout = Duration.seconds(5)
    /// Maximum wait for a whole message while partial messages or pings arrive, as a multiple of the timeout.
    private static let extensionFactor = 10

    var isAwaiting: Bool { !resumption.isPending && (!isOpen || isEnding || !exchanges.isEmpty) }

    var activeDeadline: Instant? { isAwaiting ? responseDeadline : nil }

    /// Restarts the timeout after a message was sent or received; `delay` is added if the gateway asked the client to wait.
    func restartTimeout(after delay: Duration = .zero) {
        lastMessageAt = now
        responseDeadline = now.advanced(by: isEnding ? min(plan.timeout, Self.byeTimeout) : plan.timeout).advanced(by: delay)
    }

    /// Extends the timeout if bytes arrived that aren't a whole message yet, up to ``extensionFactor`` times the timeout in all.
    ///
    /// - Returns: false if the timeout has expired for good
    func extendTimeout() -> Bool {
        let idle = client.idle
        guard !isEnding, idle < plan.timeout, (now - lastMessageAt) / Self.extensionFactor < Instant.Duration(plan.timeout)
        else { return false }
        responseDeadline = now.advanced(by: plan.timeout - idle)
        return true
    }

    /// Handles an expired timeout: on a terminal the pending requests are dropped, otherwise the conversation ends.
    func handleTimeout() -> TalkStatus? {
        let requests = exchanges.map(\.id).joined(separator: ", ")
        let time = ConfigurationNotation.text(plan.timeout)
        if isOpen, !isEnding, isInteractive, StandardInput.isTerminal {
            terminal.error("no response to \(requests) within \(time)")
            exchanges = []
            unacknowledged = [:]
            recording = nil
            return nil
        }
        terminal.error(
            isEnding ? "no response to bye" : isOpen ? "no response to \(requests) within \(time)" : "no session within \(time)")
        client.close()
        return isEnding && hasFailed ? .failed : .timedOut
    }
}
