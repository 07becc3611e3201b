package import GatewayCore
package import NIOCore

/// What the calls of one event loop share: its clock, and the table of themselves, by which deadlines are found.
package final class CallLoop {
    package let eventLoop: any EventLoop
    private let clock: () -> Instant
    private var calls: [UpstreamCall] = []
    private var generator = SystemRandomNumberGenerator()

    package init(eventLoop: any EventLoop, clock: @escaping () -> Instant) {
        self.eventLoop = eventLoop
        self.clock = clock
    }

    package var now: Instant { clock() }
    package var count: Int { calls.count }

    /// 0 up to but not including 1.
    func random() -> Double { Double.random(in: 0..<1, using: &generator) }

    func correlationID() -> ULID { ULID(unixMilliseconds: LoopClock.wallMilliseconds(), using: &generator) }

    func add(_ call: UpstreamCall) {
        call.index = calls.count
        calls.append(call)
    }

    func remove(_ call: UpstreamCall) {
        guard call.index < calls.count, calls[call.index] === call else { return }
        let last = calls.removeLast()
        guard last !== call else { return }
        last.index = call.index
        calls[last.index] = last
    }

    /// Ends what has taken too long.
    package func tick(now: Instant) {
        // One that ends is replaced by the last.
        var index = 0
        while index < calls.count {
            let call = calls[index]
            call.tick(now: now)
            if index < calls.count, calls[index] === call { index += 1 }
        }
    }
}
