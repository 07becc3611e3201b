package import GatewayCore
package import NIOCore

/// The clock, the random numbers and the deadlines that the calls of one event loop share.
package final class CallLoop {
    /// Something with deadlines.
    package protocol Member: AnyObject {
        /// Its place in the table, which the table keeps; nil outside of it.
        var index: Int? { get set }
        func tick(now: Instant)
    }

    package let eventLoop: any EventLoop
    private let clock: () -> Instant
    private var members: [any Member] = []
    private var generator = SystemRandomNumberGenerator()

    package init(eventLoop: any EventLoop, clock: @escaping () -> Instant) {
        self.eventLoop = eventLoop
        self.clock = clock
    }

    package var now: Instant { clock() }
    package var count: Int { members.count }

    /// 0 up to but not including 1.
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

    /// Ends calls that have taken too long.
    package func tick(now: Instant) {
        // A member that leaves is replaced by the last.
        var index = 0
        while index < members.count {
            let member = members[index]
            member.tick(now: now)
            if index < members.count, members[index] === member { index += 1 }
        }
    }
}
