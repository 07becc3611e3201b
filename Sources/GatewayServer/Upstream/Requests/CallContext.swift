// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import NIOCore

/// The clock, the random number generator and the table of deadlines shared by the calls of one event loop.
package final class CallContext {
    /// A call with deadlines.
    package protocol Member: AnyObject {
        /// The member's index in the table, maintained by the table; nil while it isn't in the table.
        var index: Int? { get set }
        func tick(now: Instant)
    }

    package let eventLoop: any EventLoop
    /// Nil when tracing is off.
    let tracer: Tracer?
    private let clock: () -> Instant
    private var members: [any Member] = []
    private var generator = SystemRandomNumberGenerator()

    package init(eventLoop: any EventLoop, tracer: Tracer? = nil, clock: @escaping () -> Instant) {
        self.eventLoop = eventLoop
        self.tracer = tracer
        self.clock = clock
    }

    package var now: Instant { clock() }
    package var count: Int { members.count }

    /// Returns a random number in 0..<1.
    func random() -> Double { Double.random(in: 0..<1, using: &generator) }

    func correlationID() -> ULID { ULID(unixMilliseconds: LoopClock.wallMilliseconds(), using: &generator) }

    func add(_ member: any Member) {
        guard member.index == nil else { return }
        member.index = members.count
        members.append(member)
    }

    func remove(_ member: any Member) {
        guard let index = member.index, members.indices.contains(index) else { return }
        member.index = nil
        let last = members.removeLast()
        guard last !== member else { return }
        last.index = index
        members[index] = last
    }

    /// Checks the deadlines of all calls.
    package func tick(now: Instant) {
        // When a member is removed during its tick, the last member moves to its index.
        var index = 0
        while index < members.count {
            let member = members[index]
            member.tick(now: now)
            if index < members.count, members[index] === member { index += 1 }
        }
    }
}
