// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Testing

/// The displacement of detached sessions at `sessions.max_detached`.
@Suite struct SessionRegistryTests {
    private func client(_ number: UInt64) -> ClientKey { .address(high: 0, low: number) }

    private func id(_ number: UInt64) -> ULID { ULID(high: 0, low: number) }

    private func registry(attached: Int = .max, detached: Int) -> SessionRegistry {
        SessionRegistry(limits: SessionRegistry.Limits(attached: attached, detached: detached))
    }

    /// Begins a session and detaches it.
    private func beginAndDetach(_ registry: SessionRegistry, _ number: UInt64, of client: UInt64, loop: Int = 0, isUnused: Bool = false) {
        #expect(registry.begin(id(number), of: self.client(client), loop: loop) != .full)
        registry.issue([TokenHash(number, 0, 0, 0)], for: id(number))
        _ = registry.detach(id(number), isUnused: isUnused)
    }

    private func isEnded(_ registry: SessionRegistry, _ number: UInt64) -> Bool {
        if case .ended = registry.find(TokenHash(number, 0, 0, 0)) { true } else { false }
    }

    @Test func `a new session displaces the oldest detached session of the address that has the most`() {
        let registry = registry(detached: 3)
        for number in 1...3 as ClosedRange<UInt64> { beginAndDetach(registry, number, of: 1, loop: Int(number)) }
        #expect(registry.begin(id(4), of: client(2), loop: 0) == .displacing(id(1), loop: 1))
        #expect(isEnded(registry, 1) && !isEnded(registry, 2))
        // The new session may be detached without displacing another one.
        #expect(registry.detach(id(4), isUnused: false) == .free)
        #expect(registry.begin(id(5), of: client(1), loop: 0) == .displacing(id(2), loop: 2))
        #expect(registry.detached == 2 && registry.attached == 1)
    }

    @Test func `detached sessions of one address don't displace those of another`() {
        let registry = registry(detached: 4)
        for number in 1...2 as ClosedRange<UInt64> { beginAndDetach(registry, number, of: 9) }
        for number in 11...20 as ClosedRange<UInt64> { #expect(registry.begin(id(number), of: client(1), loop: 0) == .free) }
        for number in 11...12 as ClosedRange<UInt64> { #expect(registry.detach(id(number), isUnused: false) == .free) }
        for number in 13...20 as ClosedRange<UInt64> {
            #expect(registry.detach(id(number), isUnused: false) == .displacing(id(number - 2), loop: 0))
        }
        #expect(!isEnded(registry, 1) && !isEnded(registry, 2) && registry.detached == 4)
    }

    @Test func `an unused session is displaced before a used one, whatever its address`() {
        let registry = registry(detached: 3)
        beginAndDetach(registry, 1, of: 1)
        beginAndDetach(registry, 2, of: 2, isUnused: true)
        beginAndDetach(registry, 3, of: 1)
        #expect(registry.begin(id(4), of: client(1), loop: 0) == .displacing(id(2), loop: 0))
        #expect(registry.detach(id(4), isUnused: true) == .free)
        // An unused session that exceeds the limit when detached is itself displaced.
        #expect(registry.begin(id(5), of: client(3), loop: 0) == .displacing(id(4), loop: 0))
        beginAndDetach(registry, 6, of: 3)
        #expect(registry.detach(id(5), isUnused: true) == .displacing(id(5), loop: 0))
    }

    @Test func `when every address has one detached session, a new session is rejected and none is displaced`() {
        let registry = registry(detached: 3)
        for number in 1...3 as ClosedRange<UInt64> { beginAndDetach(registry, number, of: number) }
        #expect(registry.begin(id(4), of: client(4), loop: 0) == .full)
        #expect(registry.detached == 3 && registry.attached == 0)
        // A new session displaces a detached session of its own address.
        #expect(registry.begin(id(5), of: client(2), loop: 0) == .displacing(id(2), loop: 0))
    }

    @Test func `a session that exceeds the limit when detached is itself displaced if no other session may be`() {
        let registry = registry(detached: 2)
        #expect(registry.begin(id(3), of: client(3), loop: 0) == .free)
        for number in 1...2 as ClosedRange<UInt64> { beginAndDetach(registry, number, of: number) }
        #expect(registry.detach(id(3), isUnused: false) == .displacing(id(3), loop: 0))
    }

    @Test func `a displaced session can't be attached`() {
        let registry = registry(detached: 1)
        beginAndDetach(registry, 1, of: 1)
        #expect(registry.begin(id(2), of: client(1), loop: 0) == .displacing(id(1), loop: 0))
        guard case .ended = registry.attach(id(1), of: client(1), loop: 0) else {
            Issue.record("attached")
            return
        }
        #expect(registry.attached == 1 && registry.detached == 0)
    }

    @Test func `a session counts for the address of its last connection`() {
        let registry = registry(detached: 2)
        beginAndDetach(registry, 1, of: 1)
        beginAndDetach(registry, 2, of: 1)
        guard case .attached = registry.attach(id(1), of: client(2), loop: 0) else {
            Issue.record("not attached")
            return
        }
        #expect(registry.detach(id(1), isUnused: false) == .free)
        // Now each address has one session.
        #expect(registry.begin(id(3), of: client(3), loop: 0) == .full)
    }

    @Test func `restored sessions over the limit are displaced one by one`() {
        let registry = registry(detached: 1)
        for number in 1...5 as ClosedRange<UInt64> {
            registry.restore(
                id(number), of: client(1), tokens: [TokenHash(number, 0, 0, 0)], isUnused: false,
                detachedDuration: .nanoseconds(Int64(number % 3)),
                loop: 0)
        }
        registry.orderRestored()
        #expect(registry.detached == 5)
        // The session that was detached longest.
        #expect(registry.begin(id(6), of: client(2), loop: 0) == .displacing(id(2), loop: 0))
        #expect(registry.detached == 4)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `random operations keep the counts exact and within the limits`(seed: UInt64) {
        var random = ULIDSource(seed: seed)
        let registry = registry(attached: 30, detached: 20)
        var attached: Set<UInt64> = []
        var detached: Set<UInt64> = []
        func apply(_ admission: SessionRegistry.Admission) {
            guard case .displacing(let id, _) = admission else { return }
            #expect(detached.remove(id.low) != nil)
        }
        for number in 1...5000 as ClosedRange<UInt64> {
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                let admission = registry.begin(id(number), of: client(UInt64.random(in: 0..<8, using: &random)), loop: 0)
                apply(admission)
                if admission != .full { attached.insert(number) }
            case 1:
                guard let one = attached.randomElement(using: &random) else { break }
                attached.remove(one)
                detached.insert(one)
                apply(registry.detach(id(one), isUnused: Bool.random(using: &random)))
            case 2:
                guard let one = detached.randomElement(using: &random) else { break }
                guard case .attached = registry.attach(id(one), of: client(UInt64.random(in: 0..<8, using: &random)), loop: 1) else {
                    break
                }
                detached.remove(one)
                attached.insert(one)
            default:
                guard let one = attached.union(detached).randomElement(using: &random) else { break }
                registry.end(id(one))
                attached.remove(one)
                detached.remove(one)
            }
            #expect(registry.attached == attached.count && registry.detached == detached.count)
            #expect(attached.count <= 30 && detached.count <= 20)
        }
    }
}
