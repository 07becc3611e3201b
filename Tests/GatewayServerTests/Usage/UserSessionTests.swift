// SPDX-License-Identifier: Apache-2.0

import Dispatch
import GatewayCore
import Support
import Synchronization
import Testing

@testable import GatewayServer

/// Quotas of users across sessions, event loops and restarts.
@Suite struct UserSessionTests {
    private static func quota(_ name: String, _ limit: Double) -> (inout GatewayConfiguration) -> Void {
        { configuration in
            if let quota = Quota(name: name) { configuration.quotas[quota] = limit }
            configuration.limits.textPerMinute = 0
            configuration.limits.perAddressFactor = 0
            configuration.connections.perAddress = 0
        }
    }

    /// Opens a session of a user.
    private static func open(_ harness: LoopHarness, user: String) throws -> EmbeddedConnection {
        let connection = try harness.connect()
        try connection.upgrade()
        let session = try JSON(try #require(try connection.frames().first).text)
        let id = try #require(ULID(session["session_id"].string ?? ""))
        harness.shard.sessions[id]?.assign(user: user)
        return connection
    }

    @Test func `50 sessions of one user on 5 event loops get exactly the quota of messages`() throws {
        let gateway = LoopHarness(Self.quota("messages_per_day", 500)).shared
        let accepted = Atomic<Int>(0)
        let rejected = Atomic<Int>(0)
        let failures = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 5) { thread in
            do {
                let harness = LoopHarness(of: gateway, Self.quota("messages_per_day", 500))
                let connections = try (0..<10).map { _ in try Self.open(harness, user: "u1") }
                for number in 0..<20 {
                    for connection in connections {
                        try connection.send(text: #"{"type":"text","id":"n\#(number)","text":"hello"}"#)
                        for frame in try connection.frames() {
                            let message = try JSON(frame.text)
                            if message["type"] == "ack" { accepted.add(1, ordering: .relaxed) }
                            if message["error"]["code"] == "quota_exceeded" { rejected.add(1, ordering: .relaxed) }
                        }
                    }
                }
            } catch {
                failures.withLock { $0.append("\(error)") }
            }
        }
        #expect(failures.withLock { $0 } == [])
        #expect(accepted.load(ordering: .relaxed) == 500 && rejected.load(ordering: .relaxed) == 500)
        let account = gateway.usage.account(of: "u1", wall: LoopClock.wallMilliseconds())
        #expect(account.usage(wall: LoopClock.wallMilliseconds()).month.messages == 500)
    }

    @Test func `50 streams of one user stop with the delta that uses up the tokens`() throws {
        let harness = LoopHarness(Self.quota("output_tokens_per_day", 1000))
        let connections = try (0..<50).map { _ in try Self.open(harness, user: "u1") }
        // The loopback streams a text of more than 20 words word by word: 2 tokens a word.
        let text = Array(repeating: "words", count: 40).joined(separator: " ")
        var (complete, stopped, rejected) = (0, 0, 0)
        for connection in connections {
            try connection.send(text: #"{"type":"text","id":"a","text":"\#(text)"}"#)
            for frame in try connection.frames() {
                let message = try JSON(frame.text)
                let isExceeded = message["error"]["code"] == "quota_exceeded"
                if message["done"] == true { if isExceeded { stopped += 1 } else { complete += 1 } } else if isExceeded { rejected += 1 }
            }
        }
        #expect(stopped == 1 && complete + stopped + rejected == 50 && complete > 0)
        let used = harness.shared.usage.account(of: "u1", wall: LoopClock.wallMilliseconds()).usage(wall: LoopClock.wallMilliseconds())
        #expect((1000...1002).contains(used.day.outputTokens))
        // The sessions live.
        for connection in connections {
            try connection.send(text: #"{"type":"ping"}"#)
            #expect(try connection.frames().map { try JSON($0.text)["type"] } == ["pong"])
        }
    }

    @Test func `users don't share quotas`() throws {
        let harness = LoopHarness(Self.quota("messages_per_day", 1))
        for user in ["u1", "u2"] {
            let connection = try Self.open(harness, user: user)
            try connection.send(text: #"{"type":"text","id":"a","text":"hello"}"#)
            #expect(try connection.frames().contains { try JSON($0.text)["type"] == "ack" })
        }
    }

    @Test func `a crash loses the usage of no acknowledged message, and counts no other`() throws {
        let store = TestStore()
        let harness = LoopHarness(sharing: nil, store: store, Self.quota("messages_per_day", 100))
        let connections = try (0..<10).map { _ in try Self.open(harness, user: "u1") }
        store.holdsBatches = true
        var acknowledged = 0
        for round in 0..<5 {
            for connection in connections { try connection.send(text: #"{"type":"text","id":"n\#(round)","text":"hello"}"#) }
            if round == 3 { break }
            store.commit()
            harness.eventLoop.runPendingTasks()
            for connection in connections {
                acknowledged += try connection.frames().count { try JSON($0.text)["type"] == "ack" }
            }
        }
        #expect(acknowledged == 30)
        store.crash()
        let usage = store.loadAccounts(wall: LoopClock.wallMilliseconds()).usage["u1"]
        #expect(usage?.day.messages == 30)
        let ids = store.load().reduce(0) { $0 + ($1.records[.id]?.count ?? 0) }
        #expect(ids == 30)
    }

    @Test func `a request that continues after a restart is charged for what follows only`() throws {
        let store = TestStore()
        let first = LoopHarness(sharing: nil, store: store, Self.quota("audio_seconds_in_per_day", 60))
        let connection = try first.connect()
        try connection.upgrade()
        let session = try JSON(try #require(try connection.frames().first).text)
        let id = try #require(ULID(session["session_id"].string ?? ""))
        first.shard.sessions[id]?.assign(user: "u1")
        let second = [UInt8](repeating: 0, count: 32_000)
        try connection.send(text: #"{"type":"audio","id":"u1","format":{"codec":"pcm16","rate":16000,"channels":1}}"#)
        try connection.send(binary: second)
        store.crash()
        let restarted = LoopHarness(sharing: nil, store: store, Self.quota("audio_seconds_in_per_day", 60))
        let wall = LoopClock.wallMilliseconds()
        for (user, usage) in store.loadAccounts(wall: wall).usage { restarted.shared.usage.restore(usage, of: user) }
        #expect(restarted.shard.sessions.restore(store.load()) == 1)
        restarted.eventLoop.runPendingTasks()
        let next = try restarted.connect()
        try next.upgrade(headers: "Parley-Resume: \(session["resume_token"].string ?? "")\r\n")
        restarted.shard.sessions[id]?.assign(user: "u1")
        try next.send(text: #"{"type":"audio","id":"u1","from":2}"#)
        try next.send(binary: second)
        try next.send(text: #"{"type":"audio","id":"u1","final":true}"#)
        let usage = try #require(store.loadAccounts(wall: wall).usage["u1"])
        #expect(usage.day.messages == 1 && usage.day.audioIn == 2_000_000)
        #expect(restarted.shared.usage.account(of: "u1", wall: wall).usage(wall: wall) == usage)
    }

    @Test func `a reload changes the quotas of running sessions`() throws {
        let harness = LoopHarness(Self.quota("messages_per_day", 1))
        let connection = try Self.open(harness, user: "u1")
        var configuration = GatewayConfiguration.defaults(for: .development)
        Self.quota("messages_per_day", 2)(&configuration)
        harness.shard.apply(GatewaySettings(configuration))
        for id in ["a", "b", "c"] { try connection.send(text: #"{"type":"text","id":"\#(id)","text":"hello"}"#) }
        let messages = try connection.frames().map { try JSON($0.text) }
        #expect(messages.count { $0["type"] == "ack" } == 2)
        #expect(messages.count { $0["error"]["code"] == "quota_exceeded" } == 1)
    }
}
