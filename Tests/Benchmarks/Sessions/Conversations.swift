// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import GatewayRedis

/// A session in an allocation of its own, as in the server.
final class SimulatedSession {
    let id: ULID
    var session: Session
    var serial: UInt64 = 0

    init(id: ULID, policy: SharedPolicy, global: SharedLimiter, now: Instant, wall: Int64) {
        self.id = id
        session = Session(id: id, policy: policy, global: global, now: now, wall: wall)
    }
}

/// The commands to the store and their bytes.
struct StoreTraffic {
    var commands = 0
    var bytes = 0

    static func += (left: inout Self, right: Self) {
        left.commands += right.commands
        left.bytes += right.bytes
    }
}

/// Sessions that talk: everything that the server's event loop does for them, except for sockets and the store.
struct Conversations: ~Copyable {
    private var effects = Effects(ids: ULIDSource(seed: 1), showsDetails: false)
    private var scanner = MessageScanner(rules: ValidationRules())
    private let keys = RedisKeys(prefix: "parley:")
    private let owner: String

    init() {
        effects.now = Instant(nanoseconds: 1)
        effects.sharedNow = effects.now
        effects.wall = 1_767_225_600_000
        effects.batch = StoreBatch()
        owner = effects.ids.ulid(at: effects.wall).description
    }

    mutating func open(_ policy: SharedPolicy, _ global: SharedLimiter) -> SimulatedSession {
        let id = effects.ids.ulid(at: effects.wall)
        let opened = SimulatedSession(id: id, policy: policy, global: global, now: effects.now, wall: effects.wall)
        let token = TokenHash(effects.ids.next(), effects.ids.next(), effects.ids.next(), effects.ids.next())
        opened.session.issue(token, for: nil)
        opened.session.open(.new, token: Array("Zk0vY6m1r5rPqk2W8a1Tn4bX9eJc7Dg3Hf0LsUiOyRw".utf8), effects: &effects)
        return opened
    }

    mutating func receive(_ message: [UInt8], by simulated: SimulatedSession) {
        simulated.session.receive(text: message.span.bytes, scanner: &scanner, effects: &effects)
    }

    /// Completes the requests that the last messages have started.
    mutating func respond(_ text: [UInt8], to simulated: SimulatedSession) {
        let commands = effects.commands
        for case .start(let request) in commands {
            simulated.session.receive(UpstreamEvent(request.key, .text(text, final: true), isLast: true), effects: &effects)
        }
    }

    /// Commits the changes of a session, and returns what is sent to the store.
    mutating func commit(_ simulated: SimulatedSession) -> StoreTraffic {
        simulated.session.store(effects: &effects)
        var traffic = StoreTraffic()
        guard let batch = effects.batch else { return traffic }
        for changes in SessionChanges.all(of: batch) {
            for token in changes.tokens ?? [] {
                var command = RedisCommand("SET")
                command.append(key: keys.token(token))
                command.append(changes.id.description)
                command.append("PX" as StaticString)
                command.append(3_720_000)
                traffic += StoreTraffic(commands: 1, bytes: command.byteCount)
            }
            for commit in changes.commits where !commit.isEmpty || changes.tokens != nil {
                simulated.serial += 1
                let command = RedisCommand(
                    commit, bytes: batch.bytes, key: keys.session(changes.id), owner: owner, epoch: 1, serial: simulated.serial,
                    lifetime: simulated.serial == 1 ? 3_720_000 : 0, tokens: changes.tokens, wideKinds: RecordKinds())
                traffic += StoreTraffic(commands: 1, bytes: command.byteCount)
            }
        }
        effects.batch = StoreBatch()
        return traffic
    }

    /// Writes what waits for the socket, and forgets the replies.
    mutating func write(_ simulated: SimulatedSession) {
        _ = simulated.session.drain(upTo: .max) { _, _ in true }
        _ = simulated.session.finishWrite(effects: &effects)
        effects.clear()
    }
}

/// The limits of a session by default, with a shared store.
private func defaultPolicy() -> SessionPolicy {
    var policy = SessionPolicy()
    policy.historyMessages = 1000
    policy.historyBytes = 256 << 10
    policy.duplicateIDs = 1000
    policy.outboxMessages = 1000
    policy.outboxBytes = 1 << 20
    policy.memoryBudget = 6 << 20
    policy.upstreamQueueBytes = 256 << 10
    policy.storesAudioFrames = false
    policy.durability = "replicas"
    return policy
}

func simulateSessions(_ count: Int, _ figures: inout Figures) {
    let policy = SharedPolicy(defaultPolicy())
    let global = SharedLimiter()
    var conversations = Conversations()
    var sessions: [SimulatedSession] = []
    sessions.reserveCapacity(count)
    var total = StoreTraffic()
    let before = residentBytes()

    print("\(count) sessions")
    for _ in 0..<count {
        let opened = conversations.open(policy, global)
        total += conversations.commit(opened)
        conversations.write(opened)
        sessions.append(opened)
    }
    let perSession = { (value: Int) in Double(value) / Double(count) }
    let opened = residentBytes()
    figures.report("memory of a new session, without its connection", perSession(opened - before), "bytes", expected: 800...4000)
    figures.report("store commands for a new session", perSession(total.commands), "", expected: 2...2)
    figures.report("store bytes sent for a new session", perSession(total.bytes), "bytes", expected: 500...1200)

    let text = Array(#"{"type":"text","id":"00000001","text":"\#(String(repeating: "word ", count: 24))","stream":false}"#.utf8)
    let response = Array(String(repeating: "word ", count: 24).utf8)
    let acknowledgement = Array(#"{"type":"ack","seq":1}"#.utf8)
    var steps = [StoreTraffic](repeating: StoreTraffic(), count: 2)
    for simulated in sessions {
        conversations.receive(text, by: simulated)
        steps[0] += conversations.commit(simulated)
        conversations.respond(response, to: simulated)
        steps[1] += conversations.commit(simulated)
        conversations.write(simulated)
        // Stored with the next change.
        conversations.receive(acknowledgement, by: simulated)
        conversations.write(simulated)
    }
    let talked = residentBytes()
    figures.report("memory of a text of 120 characters and a response of 120", perSession(talked - opened), "bytes", expected: 200...8000)
    for (name, step, bytes) in [("a text", steps[0], 600.0...1400), ("its response", steps[1], 400...1200)] {
        figures.report("store commands for \(name)", perSession(step.commands), "", expected: 1...1)
        figures.report("store bytes sent for \(name)", perSession(step.bytes), "bytes", expected: bytes)
    }
    withExtendedLifetime(sessions) {}
}

/// The resident memory of the process in bytes, with what the allocator keeps.
private func residentBytes() -> Int {
    let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
}
