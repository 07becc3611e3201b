// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Synchronization

/// Limits how often a client address may present a wrong token: ``burst`` times, then once per ``interval``.
///
/// Until an address may present a token again, a correct one is rejected, too; otherwise the limit wouldn't slow down guessing.
final class TokenGuesses: Sendable {
    static let burst = 30
    static let interval = Instant.Duration.seconds(2)
    /// The number of addresses above which those that have waited longest are forgotten.
    static let maximumAddresses = 4096

    private static let rate = Rate(units: 1, per: interval, burst: Double(burst))
    private let addresses = Mutex<[ClientAddress: Limiter]>([:])

    /// Returns how long an address must wait until it may present a token; nil if it may present one now.
    func wait(of address: ClientAddress, now: Instant) -> Instant.Duration? {
        addresses.withLock { $0[address]?.wait(for: 1, at: Self.rate, now: now) }
    }

    /// Counts a wrong token.
    func failed(_ address: ClientAddress, now: Instant) {
        addresses.withLock { addresses in
            if addresses[address] == nil, addresses.count >= Self.maximumAddresses { Self.forget(&addresses, now: now) }
            _ = addresses[address, default: Limiter()].admit(1, at: Self.rate, now: now)
        }
    }

    /// Removes the addresses that owe nothing, and half of the others if that isn't enough: those that owe least.
    private static func forget(_ addresses: inout [ClientAddress: Limiter], now: Instant) {
        addresses = addresses.filter { $0.value.isOwing(at: now) }
        guard addresses.count >= maximumAddresses else { return }
        let owing = addresses.sorted { $0.value.remaining(at: rate, now: now) > $1.value.remaining(at: rate, now: now) }
        for entry in owing.prefix((owing.count + 1) / 2) { addresses[entry.key] = nil }
    }

    var count: Int { addresses.withLock { $0.count } }
}
