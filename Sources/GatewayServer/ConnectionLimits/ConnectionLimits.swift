// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import Synchronization

/// The connection limits: sockets and WebSockets, in total and by address. Shared by all event loops.
///
/// Locked when a connection is accepted, upgraded or closed, never for a message.
package final class ConnectionLimits: Sendable {
    /// The keys `connections.*`; 0 turns a limit off.
    package struct Policy: Sendable {
        package var sockets: Int
        package var webSockets: Int
        package var webSocketsPerAddress: Int
        package var handshakesPerSecond: Int
        /// `auth.failures_per_minute`
        package var tokenFailuresPerMinute: Int
        /// `connections.trusted_proxies`: the addresses without limits by address.
        package var trustedProxies: TrustedProxies

        package init(
            sockets: Int, webSockets: Int, webSocketsPerAddress: Int, handshakesPerSecond: Int, tokenFailuresPerMinute: Int = 0,
            trustedProxies: TrustedProxies = .init()
        ) {
            self.sockets = sockets
            self.webSockets = webSockets
            self.webSocketsPerAddress = webSocketsPerAddress
            self.handshakesPerSecond = handshakesPerSecond
            self.tokenFailuresPerMinute = tokenFailuresPerMinute
            self.trustedProxies = trustedProxies
        }

        var handshakes: Rate {
            Rate(units: Double(handshakesPerSecond), per: .seconds(1), burst: Double(handshakesPerSecond))
        }

        var tokenFailures: Rate {
            Rate(units: Double(tokenFailuresPerMinute), per: .seconds(60), burst: Double(tokenFailuresPerMinute) / 4)
        }

        /// The limit on sockets per address, including handshakes. It is higher than the limit on WebSockets, so that rejected clients
        /// receive 429, but low enough that one address can't occupy the listener.
        var socketsPerAddress: Int { webSocketsPerAddress == 0 ? 0 : 2 * webSocketsPerAddress + 16 }
    }

    /// The limit that rejects an upgrade.
    package enum Rejection: Sendable {
        case connections, address
    }

    /// The open connections and recent handshakes of one address.
    private struct Usage {
        var sockets = 0
        var webSockets = 0
        var handshakes = Limiter()
        var tokenFailures = Limiter()
        var lastSeen = Instant(nanoseconds: 0)
    }

    private struct State {
        var policy: Policy
        var sockets = 0
        var webSockets = 0
        /// The highest value of ``webSockets``, and all WebSockets so far.
        var peakWebSockets = 0
        var totalWebSockets: UInt64 = 0
        var usages: [ClientAddress: Usage] = [:]
        /// The number of entries at which unused ones are removed, so that a flood of addresses can't exhaust memory.
        var sweepAt = 1024

        /// Admits a socket if the limits of its address allow it. An exempt address has none, and no entry.
        mutating func admit(_ address: ClientAddress, now: Instant) -> Bool {
            guard !address.isExempt else { return true }
            if usages.count >= sweepAt { sweep(now: now) }
            var usage = usages[address] ?? Usage()
            let cap = policy.socketsPerAddress
            let isAdmitted = (cap == 0 || usage.sockets < cap) && usage.handshakes.admit(1, at: policy.handshakes, now: now) == nil
            usage.lastSeen = now
            if isAdmitted { usage.sockets += 1 }
            usages[address] = usage
            return isAdmitted
        }

        mutating func sweep(now: Instant) {
            usages = usages.filter { _, usage in
                usage.sockets > 0 || usage.webSockets > 0 || now - usage.lastSeen < .seconds(2) || usage.tokenFailures.isOwing(at: now)
            }
            sweepAt = max(1024, 2 * usages.count)
        }

        /// With a limit on handshakes or rejected tokens, the entry also counts those, so only a sweep removes it.
        mutating func removeIfUnused(_ address: ClientAddress) {
            guard policy.handshakesPerSecond == 0, policy.tokenFailuresPerMinute == 0, let usage = usages[address] else { return }
            if usage.sockets <= 0, usage.webSockets <= 0 { usages[address] = nil }
        }
    }

    private let state: Mutex<State>

    package init(policy: Policy) { state = Mutex(State(policy: policy)) }

    package var policy: Policy {
        get { state.withLock { $0.policy } }
        set { state.withLock { $0.policy = newValue } }
    }

    package var sockets: Int { state.withLock { $0.sockets } }
    package var webSockets: Int { state.withLock { $0.webSockets } }

    /// The WebSockets: now, at most so far, and the limit.
    package var figure: ResourceFigure {
        state.withLock {
            ResourceFigure(
                current: $0.webSockets, peak: $0.peakWebSockets, maximum: ConfiguredLimit.unlimitedIfZero($0.policy.webSockets))
        }
    }

    /// All WebSockets since the start.
    package var totalWebSockets: UInt64 { state.withLock { $0.totalWebSockets } }

    /// Returns the addresses that have reached a limit by address, at most `limit` of them, those with most WebSockets first.
    package func addressesAtLimit(_ limit: Int, now: Instant) -> [AddressAtLimit] {
        state.withLock { state in
            let policy = state.policy
            var found = FirstElements<AddressAtLimit>(limit: limit)
            let rate = policy.handshakes
            for (address, usage) in state.usages {
                let isFull = policy.webSocketsPerAddress > 0 && usage.webSockets >= policy.webSocketsPerAddress
                let isFast = usage.handshakes.wait(for: 1, at: rate, now: now) != nil
                let isGuessing =
                    policy.tokenFailuresPerMinute > 0 && usage.tokenFailures.wait(for: 1, at: policy.tokenFailures, now: now) != nil
                guard isFull || isFast || isGuessing else { continue }
                var rules: [String] = []
                if isFull { rules.append("connections.per_address") }
                if isFast { rules.append("connections.handshakes_per_second") }
                if isGuessing { rules.append("auth.failures_per_minute") }
                found.insert(AddressAtLimit(address: "\(address)", connections: usage.webSockets, rules: rules))
            }
            return found.sorted()
        }
    }

    /// Whether another socket may be accepted (`connections.max_sockets`).
    package var canAcceptSocket: Bool { state.withLock { $0.policy.sockets == 0 || $0.sockets < $0.policy.sockets } }

    /// Admits an accepted socket and counts it until ``releaseSocket(of:)``.
    ///
    /// - Returns: false when a limit of its address is reached. The caller closes a rejected socket without releasing it.
    package func admitSocket(of address: ClientAddress, now: Instant) -> Bool {
        state.withLock { state in
            guard state.admit(address, now: now) else { return false }
            state.sockets += 1
            return true
        }
    }

    /// Admits an accepted socket of a trusted proxy for the address that the proxy announced, and counts it for that address until
    /// ``releaseAnnounced(_:)``. The socket itself was counted at accept.
    ///
    /// - Returns: false when a limit of the address is reached. The caller closes the socket without releasing the address.
    package func admitAnnounced(_ address: ClientAddress, now: Instant) -> Bool { state.withLock { $0.admit(address, now: now) } }

    package func releaseAnnounced(_ address: ClientAddress) {
        state.withLock { state in
            state.usages[address]?.sockets -= 1
            state.removeIfUnused(address)
        }
    }

    package func isTrusted(_ address: NetworkAddress?) -> Bool { state.withLock { $0.policy.trustedProxies.contains(address) } }

    package var trustedProxies: TrustedProxies { state.withLock { $0.policy.trustedProxies } }

    /// Returns the key of an address for the limits: ``ClientAddress/exempt`` for a trusted proxy.
    package func client(at address: NetworkAddress) -> ClientAddress { isTrusted(address) ? .exempt : ClientAddress(of: address) }

    package func releaseSocket(of address: ClientAddress) {
        state.withLock { state in
            state.sockets -= 1
            state.usages[address]?.sockets -= 1
            state.removeIfUnused(address)
        }
    }

    /// Admits an upgrade and counts the WebSocket until ``releaseWebSocket(of:)``.
    ///
    /// - Returns: the limit that was reached; nil when the WebSocket is admitted.
    package func admitWebSocket(of address: ClientAddress) -> Rejection? {
        state.withLock { state in
            let policy = state.policy
            if policy.webSockets > 0, state.webSockets >= policy.webSockets { return .connections }
            if policy.webSocketsPerAddress > 0, (state.usages[address]?.webSockets ?? 0) >= policy.webSocketsPerAddress {
                return .address
            }
            state.webSockets += 1
            state.peakWebSockets = max(state.peakWebSockets, state.webSockets)
            state.totalWebSockets &+= 1
            if !address.isExempt { state.usages[address, default: Usage()].webSockets += 1 }
            return nil
        }
    }

    package func releaseWebSocket(of address: ClientAddress) {
        state.withLock { state in
            state.webSockets -= 1
            state.usages[address]?.webSockets -= 1
            state.removeIfUnused(address)
        }
    }

    /// Returns how long an address must wait until another token is verified (`auth.failures_per_minute`); nil if it may present one now.
    package func tokenWait(of address: ClientAddress, now: Instant) -> Instant.Duration? {
        guard !address.isExempt else { return nil }
        return state.withLock { $0.usages[address]?.tokenFailures.wait(for: 1, at: $0.policy.tokenFailures, now: now) }
    }

    /// Counts a rejected token.
    package func tokenFailed(of address: ClientAddress, now: Instant) {
        state.withLock { state in
            guard state.policy.tokenFailuresPerMinute > 0, !address.isExempt else { return }
            if state.usages.count >= state.sweepAt { state.sweep(now: now) }
            _ = state.usages[address, default: Usage()].tokenFailures.admit(1, at: state.policy.tokenFailures, now: now)
        }
    }

    /// Removes addresses without open connections, recent rejected tokens, or accepted sockets in the last two seconds.
    ///
    /// - Returns: the number of removed addresses
    @discardableResult
    package func sweep(now: Instant) -> Int {
        state.withLock { state in
            let count = state.usages.count
            state.sweep(now: now)
            return count - state.usages.count
        }
    }
}
