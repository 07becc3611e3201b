// SPDX-License-Identifier: Apache-2.0

@testable import GatewayCore

/// The state machines of calls and chains, given inputs in any order, including invalid ones.
///
/// Invariants: Each picked endpoint is released once, and so is the permit. At most two attempts are open. After the end, nothing is
/// delivered and no attempt is opened. The bytes reported as consumed don't exceed those that the client has sent.
final class CallsTarget: FuzzTarget {
    func run(_ input: FuzzInput) {
        var input = input
        if input.bool() { CallRun(&input).run(&input) } else { ChainRun(&input).run(&input) }
    }
}

private final class CallRun {
    private enum Permit: Equatable { case none, queued, held }

    private var machine: CallStateMachine
    private var balancer = LoadBalancer(count: 2, policy: .init())
    private var now = Instant(nanoseconds: 0)
    private var open: [Int: LoadBalancer.Pick] = [:]
    private var permit = Permit.none
    private var isEnded = false
    private var hasBegun = false

    init(_ input: inout FuzzInput) {
        var policy = CallPolicy()
        let bits = input.byte()
        policy.retries = Int(bits & 3)
        policy.isRepeatable = bits & 4 != 0
        if bits & 8 != 0 { policy.hedgeAfter = .milliseconds(5) }
        if bits & 16 != 0 { policy.maxAnswerBytes = 64 }
        if bits & 32 != 0 { (policy.timeouts.total, policy.timeouts.connect) = (.seconds(1), .milliseconds(100)) }
        let request: UpstreamRequest.Input =
            bits & 64 != 0 ? .text([0x61]) : .audio(AudioFormat(codec: .pcm16, rate: 16_000, channels: 1))
        machine = CallStateMachine(request, policy: policy, at: now)
    }

    func run(_ input: inout FuzzInput) {
        while input.count > 0 {
            step(input.byte(), &input)
            require(open.count <= 2, "at most two attempts are open")
            require(isEnded == machine.isEnded, "the machine has ended if and only if the end was reported")
            require(machine.heldBytes >= 0 && (!isEnded || machine.heldBytes == 0), "nothing is held after the end")
        }
        perform(machine.cancel(.client), &input)
        require(open.isEmpty, "every attempt ends")
        require(permit != .held, "the permit is released")
        require(balancer.endpoints.allSatisfy { $0.outstanding == 0 }, "every endpoint is released")
    }

    private func step(_ byte: UInt8, _ input: inout FuzzInput) {
        // Numbers of existing attempts, and of some that don't exist.
        let number = Int(input.byte() % 6)
        now += .milliseconds(Int64(byte >> 4) * 10)
        switch byte & 15 {
        case 0: begin(&input)
        case 1:
            guard permit == .queued || isEnded else { return }
            permit = .held
            perform(machine.permitAcquired(at: now), &input)
        case 2: machine.opened(number, at: now)
        case 3:
            if case .flush = machine.requestSent(number, at: now) {
                while machine.nextBuffered(at: now) != nil {}
            }
        case 4: perform(machine.read(number, from: number, at: now), &input)
        case 5, 6: receive(number, &input)
        case 7: complete(number, &input)
        case 8, 9: perform(machine.attemptFailed(number, .unreachable("fuzz"), at: now), &input)
        case 10: perform(machine.timerFired(at: now), &input)
        case 11: perform(machine.tick(at: now), &input)
        case 12: _ = machine.send([1, 2, 3], at: now)
        case 13: _ = machine.endInput(at: now)
        case 14: _ = machine.isPaused ? machine.resume(at: now) : machine.pause(at: now)
        default: if number == 0 { perform(machine.cancel(.client), &input) }
        }
    }

    private func begin(_ input: inout FuzzInput) {
        guard !hasBegun, !isEnded else { return }
        hasBegun = true
        switch input.byte() % 4 {
        case 0: perform(machine.reject(at: now), &input)
        case 1:
            machine.enqueue(ticket: 1)
            permit = .queued
        default:
            permit = .held
            if case .picked(let pick) = balancer.pick(at: now) { perform(machine.start(with: pick, at: now), &input) }
        }
    }

    private func receive(_ number: Int, _ input: inout FuzzInput) {
        switch machine.received(number, from: number, at: now) {
        case .ignore: break
        case .deliver: require(open[number] != nil && open.count == 1, "content comes from the only open attempt")
        case .deliverFirst(let loser):
            if let loser { end(loser) }
            require(open[number] != nil && open.count == 1, "content comes from the only open attempt")
        case .fail(let actions): perform(actions, &input)
        }
    }

    private func complete(_ number: Int, _ input: inout FuzzInput) {
        switch machine.completed(number, from: number, at: now) {
        case .ignore: break
        case .complete(let pick, let loser, _):
            if let loser { end(loser) }
            require(open.removeValue(forKey: number) == pick && open.isEmpty, "the only open attempt completes")
            balancer.release(pick, .success, at: now)
            require(permit == .held && !isEnded, "a call that completes holds its permit")
            (permit, isEnded) = (.none, true)
        case .fail(let actions): perform(actions, &input)
        }
    }

    private func end(_ ending: CallStateMachine.EndedAttempt) {
        require(open.removeValue(forKey: ending.number) == ending.pick, "an open attempt ends once")
        balancer.release(ending.pick, ending.outcome, at: now)
    }

    private func perform(_ actions: CallStateMachine.Actions, _ input: inout FuzzInput) {
        if let first = actions.first { end(first) }
        if let second = actions.second { end(second) }
        perform(actions.next, &input)
    }

    private func perform(_ next: CallStateMachine.Next, _ input: inout FuzzInput) {
        switch next {
        case .none: break
        case .openAttempt(let attempt, _):
            require(!isEnded && permit == .held, "an attempt is opened with a permit")
            require(open.updateValue(attempt.pick, forKey: attempt.number) == nil, "attempt numbers are unique")
        case .pickEndpoint, .pickHedge:
            require(!isEnded, "an ended call picks no endpoint")
            if input.bool(), case .picked(let pick) = balancer.pick(excluding: machine.tried, at: now) {
                perform(machine.picked(pick, at: now), &input)
            } else if case .pickEndpoint = next {
                perform(machine.foundNoEndpoint(retryAfter: .zero, at: now), &input)
            }
        case .requestRetry: perform(machine.retry(isAdmitted: input.bool(), random: 0.5, at: now), &input)
        case .schedule(let due, _): require(due >= now && open.isEmpty, "a retry is due in the future, while no attempt is open")
        case .fail(_, let timing, let remaining):
            require(timing.total >= .zero, "a duration isn't negative")
            finish(remaining)
        case .end(let remaining): finish(remaining)
        case .releasePermit:
            require(isEnded, "a permit that arrives late is released after the end")
            permit = .none
        case .returnPick(let pick): balancer.release(pick, .neither, at: now)
        }
    }

    /// - Parameter remaining: the permit that the machine asks to release or dequeue
    private func finish(_ remaining: CallStateMachine.Permit) {
        require(!isEnded && open.isEmpty, "a call ends once, after its attempts")
        isEnded = true
        switch remaining {
        case .none: require(permit == .none, "no permit is leaked")
        case .queued: require(permit == .queued, "the permit is queued")
        case .held: require(permit == .held, "the permit is held")
        }
        permit = .none
    }
}

private final class ChainRun {
    private var machine: ChainStateMachine
    private let now = Instant(nanoseconds: 0)
    private var isEnded = false
    private var sent: Int
    private var consumed = 0
    private var calls = 0

    init(_ input: inout FuzzInput) {
        let bits = input.byte()
        var stages: [Chain.Stage] = []
        if bits & 1 != 0 { stages.append(.init(role: .transcribe, requiresRecording: bits & 2 != 0)) }
        if bits & 4 != 0 || stages.isEmpty { stages.append(.init(role: .respond)) }
        if bits & 8 != 0 { stages.append(.init(role: .synthesize)) }
        var output = UpstreamRequest.Output()
        (output.text, output.audio) = (bits & 16 == 0, bits & 32 != 0)
        let text = Array("hello".utf8)
        let isText = bits & 64 != 0
        sent = isText ? text.count : 0
        let request = UpstreamRequest(
            key: RequestKey(number: 1), id: must { try Self.id() },
            input: isText ? .text(text) : .audio(AudioFormat(codec: .pcm16, rate: 16_000, channels: 1)), lang: nil, stream: true,
            output: output, meta: [])
        machine = ChainStateMachine(
            request, chain: Chain(stages, collectMaxBytes: 16, requiresSpeech: bits & 128 != 0), at: now)
    }

    private struct NoID: Error {}

    private static func id() throws -> MessageID {
        guard let id = MessageID("m1") else { throw NoID() }
        return id
    }

    func run(_ input: inout FuzzInput) {
        while input.count > 0 {
            step(input.byte(), &input)
            require(isEnded == machine.isEnded, "the machine has ended if and only if the end was reported")
            require(consumed <= sent, "no more bytes are consumed than were sent")
            require(machine.heldBytes >= 0, "held bytes aren't negative")
        }
        consumed += machine.consumed(.max)
        require(consumed <= sent, "no more bytes are consumed than were sent")
    }

    private func step(_ byte: UInt8, _ input: inout FuzzInput) {
        switch byte & 15 {
        case 0, 1: perform(machine.begin(at: now))
        case 2, 3: send(Array(repeating: 0, count: Int(byte >> 4)))
        case 4: perform(machine.endInput(at: now))
        case 5: consumed += machine.consumed(Int(byte >> 4))
        case 6, 7: perform(machine.received(content(&input)))
        case 8, 9: perform(machine.completed(content(&input), ResponseSummary(), CallTiming(), at: now))
        case 10: perform(machine.failed(.incompleteResponse(), CallTiming(), at: now))
        case 11: receiveSpeech(&input)
        case 12: machine.speechCompleted()
        case 13: perform(machine.speechFailed(input.bool() ? .incompleteResponse() : .timeout(.awaiting), CallTiming(), at: now))
        case 14: perform(machine.next(at: now))
        default:
            guard byte == 255 else { return }
            machine.cancel()
            isEnded = true
        }
    }

    private func send(_ chunk: [UInt8]) {
        switch machine.send(chunk, at: now) {
        case .send: sent += chunk.count
        case .consumed: break
        case .rejected(let action): perform(action)
        }
    }

    private func content(_ input: inout FuzzInput) -> UpstreamEvent.Content {
        let format = AudioFormat(codec: .pcm16, rate: input.bool() ? 16_000 : 24_000, channels: 1)
        return switch input.byte() % 7 {
        case 0: .text(Array("A sentence to speak. ".utf8), final: false)
        case 1: .text([], final: true)
        case 2: .transcript(Array("words".utf8), final: input.bool(), confidence: nil, startMilliseconds: nil, endMilliseconds: nil)
        case 3: .audio(format)
        case 4: .audioChunk([0, 0])
        case 5: .audioEnd(format)
        default: .status("thinking", progress: nil)
        }
    }

    private func receiveSpeech(_ input: inout FuzzInput) {
        switch machine.speechReceived(content(&input)) {
        case .none: break
        case .deliver, .reopen: require(!isEnded, "nothing follows the last event")
        }
    }

    private func perform(_ action: ChainStateMachine.Action) {
        switch action {
        case .wait: break
        case .start:
            calls += 1
            require(!isEnded && calls <= 3, "at most one call per stage")
        case .synthesize:
            require(!isEnded, "nothing follows the last event")
            machine.sentenceStarted()
        case .endInput, .deliver: require(!isEnded, "nothing follows the last event")
        case .finish: finish()
        }
    }

    private func finish() {
        require(!isEnded, "a request ends once")
        isEnded = true
    }
}
