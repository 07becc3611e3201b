package import GatewayCore
import Synchronization

/// Who occupies how much of the gateway: sockets and WebSockets, in total and by address. Shared by all event loops.
///
/// Touched when a connection is accepted, upgraded and closed, never for a message.
package final class Occupancy: Sendable {
    /// `connections.*`; 0 turns a limit off.
    package struct Limits: Sendable {
        package var sockets: Int
        package var webSockets: Int
        package var webSocketsPerAddress: Int
        package var handshakesPerSecond: Int

        package init(sockets: Int, webSockets: Int, webSocketsPerAddress: Int, handshakesPerSecond: Int) {
            self.sockets = sockets
            self.webSockets = webSockets
            self.webSocketsPerAddress = webSocketsPerAddress
            self.handshakesPerSecond = handshakesPerSecond
        }

        /// Sockets of one address, handshakes included: room to be told 429, not room to occupy the listener.
        var socketsPerAddress: Int { webSocketsPerAddress == 0 ? 0 : 2 * webSocketsPerAddress + 16 }
    }

    package enum Refusal: Sendable {
        case connections, address
    }

    private struct Holding {
        var sockets = 0
        var webSockets = 0
        var handshakes = Limiter()
        var lastSeen = Instant(nanoseconds: 0)
    }

    private struct State {
        var limits: Limits
        var sockets = 0
        var webSockets = 0
        var holdings: [ClientAddress: Holding] = [:]
        /// At so many entries those that say nothing any more are removed, so that a flood of addresses can't fill the memory.
        var sweepAt = 1024

        mutating func sweep(now: Instant) {
            holdings = holdings.filter { _, holding in
                holding.sockets > 0 || holding.webSockets > 0 || now.nanoseconds(since: holding.lastSeen) < 2_000_000_000
            }
            sweepAt = max(1024, 2 * holdings.count)
        }

        /// With a limit on handshakes an entry also says how many there were lately; then only a sweep removes it.
        mutating func forgetIfEmpty(_ address: ClientAddress) {
            guard limits.handshakesPerSecond == 0, let holding = holdings[address] else { return }
            if holding.sockets <= 0, holding.webSockets <= 0 { holdings[address] = nil }
        }
    }

    private let state: Mutex<State>

    package init(limits: Limits) { state = Mutex(State(limits: limits)) }

    package var limits: Limits {
        get { state.withLock { $0.limits } }
        set { state.withLock { $0.limits = newValue } }
    }

    package var sockets: Int { state.withLock { $0.sockets } }
    package var webSockets: Int { state.withLock { $0.webSockets } }

    /// Whether another socket may be accepted (`connections.max_sockets`).
    package var hasRoom: Bool { state.withLock { $0.limits.sockets == 0 || $0.sockets < $0.limits.sockets } }

    /// Counts an accepted socket. False when its address has too many or comes too fast: close it, and don't ``release(_:)`` it.
    package func occupy(_ address: ClientAddress, now: Instant) -> Bool {
        state.withLock { state in
            if state.holdings.count >= state.sweepAt { state.sweep(now: now) }
            var holding = state.holdings[address] ?? Holding()
            let rate = Rate(
                units: Double(state.limits.handshakesPerSecond), per: .seconds(1), burst: Double(state.limits.handshakesPerSecond))
            let cap = state.limits.socketsPerAddress
            let isAdmitted = (cap == 0 || holding.sockets < cap) && holding.handshakes.admit(1, at: rate, now: now) == nil
            holding.lastSeen = now
            if isAdmitted {
                holding.sockets += 1
                state.sockets += 1
            }
            state.holdings[address] = holding
            return isAdmitted
        }
    }

    package func release(_ address: ClientAddress) {
        state.withLock { state in
            state.sockets -= 1
            state.holdings[address]?.sockets -= 1
            state.forgetIfEmpty(address)
        }
    }

    /// Counts an upgrade.
    package func upgrade(_ address: ClientAddress) -> Refusal? {
        state.withLock { state in
            let limits = state.limits
            if limits.webSockets > 0, state.webSockets >= limits.webSockets { return .connections }
            if limits.webSocketsPerAddress > 0, (state.holdings[address]?.webSockets ?? 0) >= limits.webSocketsPerAddress {
                return .address
            }
            state.webSockets += 1
            state.holdings[address, default: Holding()].webSockets += 1
            return nil
        }
    }

    package func downgrade(_ address: ClientAddress) {
        state.withLock { state in
            state.webSockets -= 1
            state.holdings[address]?.webSockets -= 1
            state.forgetIfEmpty(address)
        }
    }

    /// Forgets addresses that have nothing open and weren't seen for two seconds.
    package func sweep(now: Instant) {
        state.withLock { $0.sweep(now: now) }
    }
}
