// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Call state machine") struct CallStateMachineTests {
    // MARK: Permits and endpoints

    @Test func `a permit and an endpoint acquired immediately open an attempt`() throws {
        let call = Call()
        #expect(try call.start() == "open 1 at 0")
        #expect(call.requestSent(1) == .consumed(5))
        #expect(call.requestSent(1) == .none)
        #expect(call.received(10, 1) == "deliver first")
        #expect(call.received(10, 1) == "deliver")
        #expect(call.completed(10, 1) == "complete")
        #expect(call.isEnded)
    }

    @Test func `a queued call opens its attempt when the permit is granted, and counts the time in the queue`() throws {
        let call = Call()
        call.enqueue(7)
        call.advance(.milliseconds(300))
        #expect(call.permitAcquired() == "pick endpoint")
        #expect(try call.pick() == "open 1 at 0")
        #expect(call.requestSent(1) == .consumed(5))
        #expect(call.completed(10, 1) == "complete")
        #expect(call.timing.queue == .milliseconds(300))
    }

    @Test func `a full queue fails the call without a permit`() {
        let call = Call()
        #expect(call.reject() == "fail upstream_unavailable none")
        #expect(call.isEnded)
    }

    @Test func `a permit that arrives after the end is released`() {
        let call = Call()
        call.enqueue(7)
        #expect(call.cancel(.client) == "end queued(7)")
        #expect(call.permitAcquired() == "release permit")
    }

    @Test func `without an available endpoint, the call fails with the breaker's wait as retry_after`() {
        for (wait, milliseconds) in [(Instant.Duration.seconds(40), 40_000), (.zero, 1000), (.nanoseconds(1), 1)]
            as [(Instant.Duration, Int64)]
        {
            let call = Call()
            _ = call.permitAcquired()
            #expect(call.noEndpoint(wait) == "fail upstream_unavailable held")
            #expect(call.failure?.retryAfter == milliseconds)
        }
    }

    // MARK: Retries

    @Test func `a request that didn't reach the upstream is retried after the backoff, at another endpoint`() throws {
        let call = Call { $0.retries = 1 }
        _ = try call.start()
        #expect(call.requestSent(1) == .consumed(5))
        #expect(call.fail(1, .unreachable("refused")) == "end 0 failure, request retry")
        #expect(call.retry(true, random: 0.5) == "schedule 50 ms")
        #expect(call.tried == [0])
        #expect(call.timerFired() == "pick endpoint")
        #expect(try call.pick() == "open 2 at 1")
        // The first attempt has reported the text as consumed.
        #expect(call.requestSent(2) == .none)
        #expect(call.completed(10, 2) == "complete")
    }

    @Test func `a call whose retry the pool doesn't admit fails`() throws {
        let call = Call { $0.retries = 1 }
        _ = try call.start()
        _ = call.fail(1, .unreachable("refused"))
        #expect(call.retry(false, random: 0) == "fail upstream_unavailable held")
    }

    @Test func `the call fails after the configured number of retries`() throws {
        let call = Call { $0.retries = 2 }
        _ = try call.start()
        for number in 1...2 {
            #expect(call.fail(number, .unreachable("refused")).hasSuffix("request retry"))
            _ = call.retry(true, random: 0)
            _ = call.timerFired()
            _ = try call.pick()
        }
        #expect(call.fail(3, .unreachable("refused")).hasSuffix("fail upstream_unavailable held"))
    }

    @Test func `a request that may have reached the upstream is retried only if it is repeatable`() throws {
        for isRepeatable in [false, true] {
            let call = Call {
                $0.retries = 1
                $0.isRepeatable = isRepeatable
            }
            _ = try call.start()
            #expect(call.fail(1, .incompleteResponse()).hasSuffix(isRepeatable ? "request retry" : "fail upstream_error held"))
        }
    }

    @Test func `a failure that isn't retryable, or has a retry_after above 2 s, fails the call`() throws {
        for (retryAfter, isRetryable, isRetried) in [(2000, true, true), (2001, true, false), (nil, false, false)] as [(Int64?, Bool, Bool)]
        {
            let call = Call { $0.retries = 1 }
            _ = try call.start()
            var failure = CallFailure.unreachable("refused")
            (failure.retryAfter, failure.isRetryable) = (retryAfter, isRetryable)
            #expect(call.fail(1, failure).hasSuffix("request retry") == isRetried)
            if isRetried { #expect(call.retry(true, random: 0) == "schedule 2000 ms") }
        }
    }

    @Test func `a request whose response has begun isn't retried`() throws {
        let call = Call {
            $0.retries = 5
            $0.isRepeatable = true
        }
        _ = try call.start()
        _ = call.received(1, 1)
        #expect(call.fail(1, .incompleteResponse()) == "end 0 failure, fail upstream_error held")
    }

    @Test func `a call is retried while its audio is buffered, but not once audio was sent`() throws {
        for isSent in [false, true] {
            let call = Call(isStreamed: true) { $0.retries = 1 }
            _ = try call.start()
            #expect(call.send([1]) == .buffered)
            #expect(call.heldBytes == 1)
            if isSent {
                #expect(call.requestSent(1) == .flush)
                #expect(call.nextBuffered() == [1])
                #expect(call.nextBuffered() == nil)
            }
            #expect(call.fail(1, .unreachable("lost")).hasSuffix("request retry") == !isSent)
            #expect(call.heldBytes == (isSent ? 0 : 1))
        }
    }

    @Test func `a failure after the total timeout isn't retried`() throws {
        let call = Call {
            $0.retries = 1
            $0.timeouts.total = .seconds(1)
        }
        _ = try call.start()
        call.advance(.seconds(1))
        #expect(call.fail(1, .unreachable("refused")).hasSuffix("fail upstream_unavailable held"))
    }

    // MARK: Hedges

    private func hedged() throws -> Call {
        let call = Call {
            $0.hedgeAfter = .milliseconds(500)
            $0.isRepeatable = true
            $0.retries = 1
        }
        #expect(try call.start() == "open 1 at 0, timer 500 ms")
        #expect(call.timerFired() == "pick hedge")
        #expect(call.tried == [0])
        #expect(try call.pick() == "open 2 at 1")
        return call
    }

    @Test func `the first of two attempts to respond wins, and the other is cancelled`() throws {
        for (winner, loser) in [(1, 1), (2, 0)] {
            let call = try hedged()
            #expect(call.received(3, winner) == "deliver first, end \(loser) neither obsolete")
            #expect(call.received(3, 3 - winner) == "ignore")
            #expect(call.completed(3, winner) == "complete")
        }
    }

    @Test func `a hedge whose first event completes its response wins, and the other attempt is cancelled`() throws {
        let call = try hedged()
        #expect(call.completed(3, 2) == "complete, end 0 neither obsolete")
    }

    @Test func `when one of two attempts fails, the other continues`() throws {
        for failed in [1, 2] {
            let call = try hedged()
            #expect(call.fail(failed, .incompleteResponse()) == "end \(failed - 1) failure")
            #expect(call.fail(failed, .incompleteResponse()) == "")
            #expect(call.completed(3, 3 - failed) == "complete")
        }
    }

    @Test func `a hedge counts as a retry`() throws {
        let call = try hedged()
        _ = call.fail(1, .unreachable("refused"))
        #expect(call.fail(2, .unreachable("refused")).hasSuffix("fail upstream_unavailable held"))
    }

    @Test func `no hedge starts after a response has begun, or for a streamed or non-repeatable request`() throws {
        let responding = Call {
            $0.hedgeAfter = .seconds(1)
            $0.isRepeatable = true
        }
        _ = try responding.start()
        _ = responding.received(1, 1)
        #expect(responding.timerFired() == "")
        let single = Call { $0.hedgeAfter = .seconds(1) }
        #expect(try single.start() == "open 1 at 0")
        let streamed = Call(isStreamed: true) {
            $0.hedgeAfter = .seconds(1)
            $0.isRepeatable = true
        }
        #expect(try streamed.start() == "open 1 at 0")
    }

    @Test func `a hedge picked after a response has begun is returned`() throws {
        let call = try hedged()
        _ = call.received(1, 1)
        #expect(try call.pick() == "return 2")
    }

    // MARK: Deadlines

    @Test func `each phase has its deadline`() throws {
        typealias Step = (Call) throws -> Void
        let steps: [(String, Instant.Duration, Step, String)] = [
            ("waiting", .seconds(1), { $0.enqueue(7) }, "fail upstream_timeout queued(7)"),
            ("connecting", .seconds(2), { _ = try $0.start() }, "end 0 failure timeout, fail upstream_timeout held"),
            (
                "awaiting", .seconds(3),
                {
                    _ = try $0.start()
                    _ = $0.requestSent(1)
                }, "end 0 failure timeout, fail upstream_timeout held"
            ),
            (
                "responding", .seconds(4),
                {
                    _ = try $0.start()
                    _ = $0.requestSent(1)
                    _ = $0.received(1, 1)
                }, "end 0 failure timeout, fail upstream_timeout held"
            ),
        ]
        for (phase, limit, step, result) in steps {
            let call = Call {
                $0.timeouts.waiting = .seconds(1)
                $0.timeouts.connect = .seconds(2)
                $0.timeouts.firstByte = .seconds(3)
                $0.timeouts.betweenBytes = .seconds(4)
            }
            try step(call)
            call.opened(1)
            if phase == "connecting" {
                // After the connection has opened, the first-byte timeout applies.
                call.advance(.nanoseconds(2_999_999_999))
                #expect(call.tick() == "")
                call.advance(.nanoseconds(1))
                #expect(call.tick() == result, "open")
                continue
            }
            call.advance(limit - .nanoseconds(1))
            #expect(call.tick() == "", "\(phase)")
            call.advance(.nanoseconds(1))
            #expect(call.tick() == result, "\(phase)")
            #expect(call.tick() == "", "\(phase)")
        }
    }

    @Test func `a timeout cancels both of two attempts, and the call is retried`() throws {
        let call = Call {
            $0.hedgeAfter = .milliseconds(500)
            $0.isRepeatable = true
            $0.retries = 2
            $0.timeouts.connect = .seconds(1)
        }
        _ = try call.start()
        _ = call.timerFired()
        _ = try call.pick()
        call.advance(.seconds(1))
        #expect(call.tick() == "end 0 failure timeout, end 1 failure timeout, request retry")
        #expect(call.retry(true, random: 0) == "schedule 0 ms")
    }

    @Test func `the total timeout ends a call during backoff`() throws {
        let call = Call {
            $0.retries = 1
            $0.timeouts.total = .seconds(1)
        }
        _ = try call.start()
        _ = call.fail(1, .unreachable("refused"))
        _ = call.retry(true, random: 1)
        call.advance(.seconds(1))
        #expect(call.tick() == "fail upstream_timeout held")
        #expect(call.timerFired() == "")
    }

    // MARK: Back-pressure and limits

    @Test func `no deadline passes while a call is paused`() throws {
        let call = Call { $0.timeouts.betweenBytes = .seconds(1) }
        _ = try call.start()
        _ = call.requestSent(1)
        _ = call.received(1, 1)
        #expect(call.pause() && call.isPaused)
        #expect(!call.pause())
        call.advance(.seconds(100))
        #expect(call.tick() == "")
        #expect(call.resume() && !call.isPaused)
        #expect(!call.resume())
        call.advance(.nanoseconds(999_999_999))
        #expect(call.tick() == "")
        call.advance(.nanoseconds(1))
        #expect(call.tick() == "end 0 failure timeout, fail upstream_timeout held")
        #expect(!call.pause())
    }

    @Test func `a response above its limit fails the call, in bytes read or in bytes of content`() throws {
        for isRead in [true, false] {
            let call = Call { $0.maxAnswerBytes = 100 }
            _ = try call.start()
            #expect(isRead ? call.read(100, 1) == "" : call.received(100, 1) == "deliver first")
            let excess = isRead ? call.read(1, 1) : call.received(1, 1)
            #expect(excess == "end 0 neither fault, fail upstream_error held")
            #expect(call.failure?.isRetryable == false)
        }
        // Each part counts at least 16 bytes.
        let small = Call { $0.maxAnswerBytes = 32 }
        _ = try small.start()
        #expect(small.received(0, 1) == "deliver first")
        #expect(small.received(0, 1) == "deliver")
        #expect(small.received(0, 1) == "end 0 neither fault, fail upstream_error held")
        // An overflowing size exceeds any limit, but not `Int.max`.
        let endless = Call()
        _ = try endless.start()
        #expect(endless.read(.max, 1) == "" && endless.read(.max, 1) == "")
    }

    @Test func `when a hedge's response exceeds the limit, both attempts end and the call fails`() throws {
        let call = Call {
            $0.hedgeAfter = .milliseconds(500)
            $0.isRepeatable = true
            $0.maxAnswerBytes = 20
        }
        _ = try call.start()
        _ = call.timerFired()
        _ = try call.pick()
        #expect(call.received(21, 2) == "end 1 neither fault, end 0 neither obsolete, fail upstream_error held")
    }

    // MARK: Audio

    @Test func `audio is sent in order, and the end of the input after the last chunk`() throws {
        let call = Call(isStreamed: true)
        #expect(call.send([1]) == .buffered)
        _ = try call.start()
        #expect(call.send([2, 2]) == .buffered)
        #expect(call.heldBytes == 3)
        #expect(call.endInput() == nil)
        #expect(call.send([3]) == .ignored)
        #expect(call.requestSent(1) == .flush)
        #expect(call.nextBuffered() == [1])
        #expect(!call.shouldEndInput)
        #expect(call.nextBuffered() == [2, 2])
        #expect(call.nextBuffered() == nil)
        #expect(call.shouldEndInput)
        #expect(call.consumed(3, 1))
        #expect(!call.consumed(3, 2))
        #expect(call.completed(1, 1) == "complete")
    }

    @Test func `audio is sent immediately once the request was sent, and ignored after its end`() throws {
        let call = Call(isStreamed: true)
        _ = try call.start()
        #expect(call.requestSent(1) == .flush)
        #expect(call.nextBuffered() == nil)
        #expect(!call.shouldEndInput)
        #expect(call.send([1]) == .send(attempt: 1))
        #expect(call.endInput() == 1)
        #expect(call.endInput() == nil)
        #expect(call.send([1]) == .ignored)
    }

    @Test func `unconsumed audio has a deadline; a pause in the client's audio has none`() throws {
        for isConsumed in [true, false] {
            let call = Call(isStreamed: true) { $0.timeouts.betweenBytes = .seconds(3) }
            _ = try call.start()
            _ = call.requestSent(1)
            _ = call.send([1, 2])
            if isConsumed { #expect(call.consumed(2, 1)) }
            call.advance(.seconds(3))
            #expect((call.tick() == "") == isConsumed)
        }
    }

    // MARK: Cancelling

    @Test func `a call can be cancelled in each state`() throws {
        typealias Step = (Call) throws -> Void
        let steps: [(String, Step)] = [
            ("end none", { _ in }),
            ("end queued(7)", { $0.enqueue(7) }),
            ("end held", { _ = $0.permitAcquired() }),
            ("end 0 neither client, end held", { _ = try $0.start() }),
            (
                "end 0 neither client, end held",
                {
                    _ = try $0.start()
                    _ = $0.received(1, 1)
                }
            ),
            (
                "end 0 neither client, end 1 neither client, end held",
                {
                    _ = try $0.start()
                    _ = $0.timerFired()
                    _ = try $0.pick()
                }
            ),
            (
                "end held",
                {
                    _ = try $0.start()
                    _ = $0.fail(1, .unreachable("refused"))
                }
            ),
            (
                "end held",
                {
                    _ = try $0.start()
                    _ = $0.fail(1, .unreachable("refused"))
                    _ = $0.retry(true, random: 0)
                }
            ),
            (
                "",
                {
                    _ = try $0.start()
                    _ = $0.completed(1, 1)
                }
            ),
        ]
        for (result, step) in steps {
            let call = Call { $0.retries = 1 }
            try step(call)
            #expect(call.cancel(.client) == result)
            #expect(call.isEnded)
            #expect(call.cancel(.client) == "")
        }
    }

    // MARK: Unexpected inputs

    @Test func `inputs that don't fit the state change nothing`() throws {
        typealias Step = (Call) throws -> Void
        let states: [(String, Step, Set<String>)] = [
            ("created", { _ in }, ["start", "enqueue", "reject", "permit", "audio", "pause"]),
            ("queued", { $0.enqueue(7) }, ["permit", "audio", "pause"]),
            ("picking", { _ = $0.permitAcquired() }, ["pick", "no endpoint", "audio", "pause"]),
            ("attempting", { _ = try $0.start() }, ["pick", "timer", "opened", "received", "completed", "failed", "audio", "pause"]),
            (
                "responding",
                {
                    _ = try $0.start()
                    _ = $0.received(1, 1)
                }, ["received", "completed", "failed", "audio", "pause"]
            ),
            (
                "requesting a retry",
                {
                    _ = try $0.start()
                    _ = $0.fail(1, .unreachable("refused"))
                }, ["retry", "audio", "pause"]
            ),
            (
                "backing off",
                {
                    _ = try $0.start()
                    _ = $0.fail(1, .unreachable("refused"))
                    _ = $0.retry(true, random: 0)
                }, ["timer", "audio", "pause"]
            ),
            ("ended", { _ = $0.cancel(.client) }, []),
        ]
        let inputs: [(String, (Call) throws -> Bool)] = [
            ("start", { try $0.start().hasPrefix("return") }),
            ("pick", { try $0.pick().hasPrefix("return") }),
            ("no endpoint", { $0.noEndpoint(.zero) == "" }),
            ("reject", { $0.reject() == "" }),
            ("permit", { ["", "release permit"].contains($0.permitAcquired()) }),
            ("timer", { $0.timerFired() == "" }),
            ("retry", { $0.retry(true, random: 0) == "" }),
            ("opened", { $0.requestSent(1) == .none }),
            ("received", { $0.received(1, 1) == "ignore" }),
            ("completed", { $0.completed(1, 1) == "ignore" }),
            ("failed", { $0.fail(1, .incompleteResponse()) == "" }),
            ("audio", { $0.send([1]) == .ignored }),
            ("pause", { !$0.pause() }),
        ]
        for (state, step, fitting) in states {
            for (input, isIgnored) in inputs where !fitting.contains(input) {
                let call = Call(isStreamed: input == "audio") { $0.retries = 1 }
                try step(call)
                let before = (call.isEnded, call.tried, call.heldBytes)
                // That includes a report of the sent request after the response has begun.
                #expect(try isIgnored(call), "\(input) while \(state)")
                #expect(before == (call.isEnded, call.tried, call.heldBytes), "\(input) while \(state)")
            }
        }
    }

    @Test func `events of an unknown attempt are ignored`() throws {
        let call = Call()
        _ = try call.start()
        for number in [0, 2, .max] {
            #expect(call.requestSent(number) == .none)
            #expect(call.read(.max, number) == "")
            #expect(call.received(1, number) == "ignore")
            #expect(call.completed(1, number) == "ignore")
            #expect(call.fail(number, .incompleteResponse()) == "")
        }
        #expect(call.completed(1, 1) == "complete")
    }

    @Test func `attempt numbers continue after those of an earlier call of the request`() throws {
        var call = CallStateMachine(.text([]), policy: CallPolicy(), earlierAttempts: 3, at: Instant(nanoseconds: 0))
        var balancer = LoadBalancer(count: 1, policy: .init())
        guard case .picked(let pick) = balancer.pick(at: Instant(nanoseconds: 0)) else { throw Missing() }
        guard case .openAttempt(let attempt, nil) = call.start(with: pick, at: Instant(nanoseconds: 0)) else { throw Missing() }
        #expect(attempt.number == 4 && call.lastAttemptNumber == 4)
    }

    @Test func `the time to the first byte is measured from the connection, or from the end of the audio`() throws {
        let call = Call()
        _ = try call.start()
        call.advance(.milliseconds(200))
        _ = call.requestSent(1)
        call.advance(.milliseconds(300))
        _ = call.received(1, 1)
        call.advance(.milliseconds(400))
        _ = call.completed(1, 1)
        #expect([call.timing.connect, call.timing.first, call.timing.total].map(\.milliseconds) == [200, 300, 900])
        let audio = Call(isStreamed: true)
        _ = try audio.start()
        _ = audio.requestSent(1)
        audio.advance(.seconds(9))
        _ = audio.endInput()
        audio.advance(.milliseconds(70))
        _ = audio.completed(1, 1)
        #expect(audio.timing.first == .milliseconds(70))
    }
}

private struct Missing: Error {}

/// A harness for a call with its load balancer and its clock that returns the actions as text.
private final class Call {
    private var machine: CallStateMachine
    private var balancer = LoadBalancer(count: 3, policy: .init())
    private var now = Instant(nanoseconds: 1_000_000_000_000)
    private(set) var failure: CallFailure?
    private(set) var timing = CallTiming()

    init(isStreamed: Bool = false, _ change: (inout CallPolicy) -> Void = { _ in }) {
        var policy = CallPolicy()
        change(&policy)
        let input: UpstreamRequest.Input =
            isStreamed ? .audio(AudioFormat(codec: .pcm16, rate: 16_000, channels: 1)) : .text(Array("hello".utf8))
        machine = CallStateMachine(input, policy: policy, at: now)
    }

    var isEnded: Bool { machine.isEnded }
    var isPaused: Bool { machine.isPaused }
    var tried: [Int] { machine.tried }
    var heldBytes: Int { machine.heldBytes }
    var shouldEndInput: Bool { machine.shouldEndInput }

    func advance(_ duration: Instant.Duration) { now += duration }

    private func next() throws -> LoadBalancer.Pick {
        guard case .picked(let pick) = balancer.pick(at: now) else { throw Missing() }
        return pick
    }

    func start() throws -> String { text(machine.start(with: try next(), at: now)) }
    func pick() throws -> String { text(machine.picked(try next(), at: now)) }
    func noEndpoint(_ wait: Instant.Duration) -> String { text(machine.foundNoEndpoint(retryAfter: wait, at: now)) }
    func enqueue(_ ticket: UInt64) { machine.enqueue(ticket: ticket) }
    func reject() -> String { text(machine.reject(at: now)) }
    func permitAcquired() -> String { text(machine.permitAcquired(at: now)) }
    func timerFired() -> String { text(machine.timerFired(at: now)) }
    func tick() -> String { text(machine.tick(at: now)) }
    func retry(_ isAdmitted: Bool, random: Double) -> String { text(machine.retry(isAdmitted: isAdmitted, random: random, at: now)) }
    func cancel(_ reason: CancelReason) -> String { text(machine.cancel(reason)) }
    func opened(_ number: Int) { machine.opened(number, at: now) }
    func requestSent(_ number: Int) -> CallStateMachine.RequestSent { machine.requestSent(number, at: now) }
    func read(_ bytes: Int, _ number: Int) -> String { text(machine.read(bytes, from: number, at: now)) }
    func fail(_ number: Int, _ failure: CallFailure) -> String { text(machine.attemptFailed(number, failure, at: now)) }
    func send(_ chunk: [UInt8]) -> CallStateMachine.AudioAction { machine.send(chunk, at: now) }
    func nextBuffered() -> [UInt8]? { machine.nextBuffered(at: now) }
    func endInput() -> Int? { machine.endInput(at: now) }
    func consumed(_ bytes: Int, _ number: Int) -> Bool { machine.consumed(bytes, by: number, at: now) }
    func pause() -> Bool { machine.pause(at: now) }
    func resume() -> Bool { machine.resume(at: now) }

    func received(_ bytes: Int, _ number: Int) -> String {
        switch machine.received(bytes, from: number, at: now) {
        case .ignore: "ignore"
        case .deliver: "deliver"
        case .deliverFirst(let loser): (["deliver first"] + [loser].compactMap(\.self).map(text)).joined(separator: ", ")
        case .fail(let actions): text(actions)
        }
    }

    func completed(_ bytes: Int, _ number: Int) -> String {
        switch machine.completed(bytes, from: number, at: now) {
        case .ignore: return "ignore"
        case .complete(_, let loser, let timing):
            self.timing = timing
            return (["complete"] + [loser].compactMap(\.self).map(text)).joined(separator: ", ")
        case .fail(let actions): return text(actions)
        }
    }

    private func text(_ actions: CallStateMachine.Actions) -> String {
        ([actions.first, actions.second].compactMap(\.self).map(text) + [text(actions.next)]).filter { !$0.isEmpty }.joined(separator: ", ")
    }

    private func text(_ ending: CallStateMachine.EndedAttempt) -> String {
        "end \(ending.pick.index) \(ending.outcome)" + (ending.cancel.map { " \($0)" } ?? "")
    }

    private func text(_ next: CallStateMachine.Next) -> String {
        switch next {
        case .none: return ""
        case .openAttempt(let attempt, let timer):
            return "open \(attempt.number) at \(attempt.pick.index)" + (timer.map { ", timer \(($0 - now).milliseconds) ms" } ?? "")
        case .pickEndpoint: return "pick endpoint"
        case .pickHedge: return "pick hedge"
        case .requestRetry: return "request retry"
        case .schedule(let due, _): return "schedule \((due - now).milliseconds) ms"
        case .fail(let failure, let timing, let permit):
            (self.failure, self.timing) = (failure, timing)
            return "fail \(failure.code.rawValue) \(permit)"
        case .end(let permit): return "end \(permit)"
        case .releasePermit: return "release permit"
        case .returnPick(let pick): return "return \(pick.index)"
        }
    }
}
