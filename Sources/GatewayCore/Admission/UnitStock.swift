// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The units of a rate that a shared store has granted to this gateway, and that aren't spent. Shared by all event loops.
package final class UnitStock: Sendable {
    private struct State {
        var units: Int64 = 0
        var rate = Rate.unlimited
        /// Whether units are being requested.
        var isRequesting = false
        /// When the store can grant the next unit, if it granted none.
        var nextGrant = Instant(nanoseconds: .min)
    }

    /// The wait time in a rejection while a request for units is in flight.
    static let requestDuration = Instant.Duration.milliseconds(10)

    private let state = Mutex(State())
    /// Requests units from the store, then calls ``add(_:wait:now:)``. Must not block.
    private let request: @Sendable (_ stock: UnitStock, _ rate: Rate, _ units: Int64) -> Void

    package init(request: @escaping @Sendable (_ stock: UnitStock, _ rate: Rate, _ units: Int64) -> Void) { self.request = request }

    /// The maximum number of units in stock: a quarter of the burst, but at least 8, or the whole burst if that is less.
    package static func capacity(of rate: Rate) -> Int64 {
        let burst = rate.burstUnits
        return min(burst, max(8, burst / 4))
    }

    package var units: Int64 { state.withLock { $0.units } }

    /// Spends one unit, or returns how long to wait. Requests more units when half of the stock is spent.
    package func admit(at rate: Rate, now: Instant) -> Instant.Duration? {
        let (wait, wanted) = state.withLock { state -> (Instant.Duration?, Int64) in
            state.rate = rate
            let capacity = Self.capacity(of: rate)
            // A reload may have lowered the limit.
            state.units = min(state.units, capacity)
            var wait: Instant.Duration?
            if state.units > 0 {
                state.units -= 1
            } else {
                wait = max(Self.requestDuration, state.nextGrant - now)
            }
            return (wait, Self.demand(&state, capacity: capacity, now: now))
        }
        if wanted > 0 { request(self, rate, wanted) }
        return wait
    }

    /// Fills the stock before the first message.
    package func fill(for rate: Rate, now: Instant) {
        guard !rate.isUnlimited else { return }
        let wanted = state.withLock { state in
            state.rate = rate
            return Self.demand(&state, capacity: Self.capacity(of: rate), now: now)
        }
        if wanted > 0 { request(self, rate, wanted) }
    }

    private static func demand(_ state: inout State, capacity: Int64, now: Instant) -> Int64 {
        guard !state.isRequesting, state.units <= capacity / 2, now >= state.nextGrant else { return 0 }
        state.isRequesting = true
        return capacity - state.units
    }

    /// Adds units that the store has granted.
    ///
    /// - Parameter wait: how long until the store can grant a unit; zero if it has granted some
    package func add(_ units: Int64, wait: Instant.Duration, now: Instant) {
        state.withLock { state in
            state.isRequesting = false
            state.units = min(max(0, state.units) + max(0, units), Self.capacity(of: state.rate))
            state.nextGrant = now + max(.zero, wait)
        }
    }
}
