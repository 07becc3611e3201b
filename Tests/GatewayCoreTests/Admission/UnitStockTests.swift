// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import GatewayCore

@Suite struct UnitStockTests {
    private final class Store: Sendable {
        let requests = Mutex<[Int64]>([])
    }

    private func make(_ store: Store) -> UnitStock { UnitStock { _, _, units in store.requests.withLock { $0.append(units) } } }

    private func time(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test(arguments: [(1, 1), (7, 7), (8, 8), (32, 8), (33, 8), (400, 100)] as [(Double, Int64)])
    func `the capacity is a quarter of the burst, but at least 8 or the burst`(_ burst: Double, _ capacity: Int64) {
        #expect(UnitStock.capacity(of: Rate(units: burst, per: .seconds(1), burst: burst)) == capacity)
    }

    @Test func `units are requested when half of the stock is spent, once at a time`() {
        let store = Store()
        let (stock, rate) = (make(store), Rate(units: 40, per: .seconds(1), burst: 40))
        stock.fill(for: rate, now: time(0))
        #expect(store.requests.withLock { $0 } == [10])
        stock.add(10, wait: .zero, now: time(0))
        for _ in 0..<4 { #expect(stock.admit(at: rate, now: time(0)) == nil) }
        #expect(store.requests.withLock { $0.count } == 1)
        #expect(stock.admit(at: rate, now: time(0)) == nil)
        #expect(store.requests.withLock { $0 } == [10, 5])
        for _ in 0..<5 { #expect(stock.admit(at: rate, now: time(0)) == nil) }
        #expect(stock.admit(at: rate, now: time(0)) == UnitStock.requestDuration)
        #expect(store.requests.withLock { $0.count } == 2)
        stock.add(5, wait: .zero, now: time(1))
        #expect(stock.admit(at: rate, now: time(1)) == nil)
    }

    @Test func `without units the wait is that of the store, and nothing is requested before it ends`() {
        let store = Store()
        let (stock, rate) = (make(store), Rate(units: 1, per: .seconds(1), burst: 1))
        #expect(stock.admit(at: rate, now: time(0)) == UnitStock.requestDuration)
        stock.add(0, wait: .milliseconds(700), now: time(0))
        #expect(stock.admit(at: rate, now: time(100)) == .milliseconds(600))
        #expect(store.requests.withLock { $0.count } == 1)
        #expect(stock.admit(at: rate, now: time(700)) == UnitStock.requestDuration)
        #expect(store.requests.withLock { $0.count } == 2)
        stock.add(1, wait: .zero, now: time(701))
        #expect(stock.admit(at: rate, now: time(702)) == nil)
    }

    @Test func `a lower limit takes effect on the units in stock`() {
        let store = Store()
        let stock = make(store)
        stock.fill(for: Rate(units: 400, per: .seconds(1), burst: 400), now: time(0))
        stock.add(100, wait: .zero, now: time(0))
        let lower = Rate(units: 2, per: .seconds(1), burst: 2)
        for _ in 0..<2 { #expect(stock.admit(at: lower, now: time(0)) == nil) }
        #expect(stock.admit(at: lower, now: time(0)) != nil)
        #expect(stock.admit(at: .unlimited, now: time(0)) != nil)
        #expect(SharedLimiter().admit(at: .unlimited, now: time(0)) == nil)
    }
}
