// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Logging
import Synchronization
import Testing

/// The routes of pushes and of supervision, without sessions behind them.
@Suite struct PushRoutesTests {
    /// Targets with one session of the user `ada`, which count their calls.
    private final class Targets: PushTargets {
        static let session = ULID(high: 1, low: 1)
        static let ended = ULID(high: 1, low: 2)

        private let state = Mutex((pushes: [Push](), commands: [String]()))
        let undelivered = UndeliveredPushes(limit: 10)

        var pushes: [Push] { state.withLock { $0.pushes } }
        var commands: [String] { state.withLock { $0.commands } }

        private func result(_ push: Push) -> PushResult {
            let sequence = state.withLock { state in
                state.pushes.append(push)
                return UInt64(state.pushes.count)
            }
            var result = PushResult()
            result.deliveries = [.init(session: Self.session, sequence: sequence)]
            return result
        }

        func push(_ push: Push, to session: ULID) async -> PushResult? {
            // Other requests run first.
            await Task.yield()
            return session == Self.session ? result(push) : nil
        }

        func push(_ push: Push, toUser user: String, startedAfter start: ULID?) async -> PushResult {
            user == "ada" && start == nil ? result(push) : PushResult()
        }

        func pushToAll(_ push: Push) async -> PushResult { result(push) }
        func hasEnded(_ session: ULID) async -> Bool { session == Self.ended }

        func supervise(
            _ session: ULID, _ command: SupervisionCommand, by name: String
        ) async -> Result<SupervisionReport, SupervisionFault>? {
            guard session == Self.session else { return nil }
            state.withLock { $0.commands.append("\(command.kind.name) \(name)") }
            if case .say = command { return .failure(.notTakenOver) }
            var report = SupervisionReport()
            report.answeredBy = name
            return .success(report)
        }
    }

    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private static let text = #"{"type":"text","text":"hi"}"#

    private func run(
        rules: ValidationRules = ValidationRules(), _ body: @Sendable @escaping (OperationsHarness, Targets) async throws -> Void
    ) async throws {
        let targets = Targets()
        try await OperationsHarness.run(features: [
            .push(into: targets, rules: { rules }, logger: Self.quiet),
            .supervision(of: targets, rules: { rules }, logger: Self.quiet),
        ]) { try await body($0, targets) }
    }

    private var path: String { "/v1/sessions/\(Targets.session)" }

    @Test func `a push is accepted with its sessions`() async throws {
        try await run { (harness, targets) async throws in
            for (target, audience) in [
                ("\(path)/messages", .session), ("/v1/users/ada/messages", .user("ada")), ("/v1/messages", .all),
            ] as [(String, Push.Audience)] {
                let reply = try await harness.send("POST \(target)", body: Self.text)
                let push = try #require(targets.pushes.last)
                #expect(reply.status == 202 && push.audience == audience)
                #expect(
                    reply.body
                        == #"{"id":"\#(push.id)","sessions":[{"seq":\#(targets.pushes.count),"session_id":"\#(Targets.session)"}],"#
                        + #""undelivered":0}"#)
            }
        }
    }

    @Test func `an idempotency key performs a request once, also when it is used concurrently`() async throws {
        try await run { (harness, targets) async throws in
            let bodies = try await withThrowingTaskGroup(of: HTTPReply.self) { group in
                for _ in 0..<8 {
                    group.addTask { try await harness.send("POST \(path)/messages", ["Idempotency-Key: a.b"], body: Self.text) }
                }
                return try await group.reduce(into: Set<String>()) { $0.insert("\($1.status) \($1.body)") }
            }
            #expect(bodies.count == 1 && bodies.first?.hasPrefix("202 ") == true && targets.pushes.count == 1)
            _ = try await harness.send("POST \(path)/messages", ["Idempotency-Key: other"], body: Self.text)
            #expect(targets.pushes.count == 2)
        }
    }

    @Test func `a key with another body or another target is 422`() async throws {
        try await run { (harness, targets) async throws in
            let key = ["Idempotency-Key: k"]
            #expect(try await harness.send("POST \(path)/messages", key, body: Self.text).status == 202)
            #expect(try await harness.send("POST \(path)/messages", key, body: Self.text + " ").status == 422)
            #expect(try await harness.send("POST /v1/messages", key, body: Self.text).status == 422)
            #expect(targets.pushes.count == 1)
        }
    }

    @Test func `an invalid key is 400, and a key whose request failed can be used again`() async throws {
        try await run { (harness, targets) async throws in
            for wrong in ["", "a b", String(repeating: "k", count: 65)] {
                #expect(try await harness.send("POST /v1/messages", ["Idempotency-Key: \(wrong)"], body: Self.text).status == 400)
            }
            let unknown = "/v1/sessions/\(ULID(high: 5, low: 5))/messages"
            for _ in 0..<2 { #expect(try await harness.send("POST \(unknown)", ["Idempotency-Key: k"], body: Self.text).status == 404) }
            #expect(try await harness.send("POST /v1/messages", ["Idempotency-Key: k"], body: Self.text).status == 202)
            #expect(targets.pushes.count == 1)
        }
    }

    @Test func `invalid bodies and users are 400, too large ones 413`() async throws {
        try await run(rules: ValidationRules(maxTextBytes: 2, audioMaxBytes: 10)) { (harness, targets) async throws in
            for wrong in ["", "{}", #"{"type":"text"}"#, #"{"type":"text","text":"a","x":1}"#] {
                #expect(try await harness.send("POST /v1/messages", body: wrong).status == 400)
            }
            #expect(try await harness.send("POST /v1/users/%C3%A4/messages", body: Self.text).status == 400)
            #expect(try await harness.send("POST /v1/messages", body: #"{"type":"text","text":"abc"}"#).status == 413)
            #expect(try await harness.send("POST /v1/messages", body: String(repeating: " ", count: 20_000)).status == 413)
            #expect(try await harness.send("POST /v1/messages", body: Self.text).status == 202)
            #expect(targets.pushes.count == 1)
        }
    }

    @Test func `what can't be delivered is listed, and retried once`() async throws {
        try await run { (harness, targets) async throws in
            let ended = try await harness.send("POST /v1/sessions/\(Targets.ended)/messages", body: Self.text)
            let unknown = try await harness.send("POST /v1/users/bob/messages", body: #"{"type":"status","state":"s","ttl":"5s"}"#)
            for reply in [ended, unknown] { #expect(reply.status == 202 && reply.body.hasSuffix(#""sessions":[],"undelivered":1}"#)) }
            let listed = try await harness.send("GET /v1/undelivered")
            #expect(listed.body.contains(#""reason":"session_ended""#) && listed.body.contains(#""message":{"text":"hi","type":"text"}"#))
            #expect(listed.body.contains(#""reason":"no_session""#) && listed.body.contains(#""user":"bob""#))
            #expect(listed.body.contains(#""ttl_ms":5000"#))
            let first = try await harness.send("GET /v1/undelivered?limit=1")
            #expect(first.body.contains(#""cursor":""#) && !first.body.contains("no_session"))
            let id = String(ended.body.dropFirst(#"{"id":""#.count).prefix(26))
            let retried = try await harness.send("POST /v1/undelivered/retry", body: #"{"ids":["\#(id)"]}"#)
            #expect(retried.status == 202 && retried.body.contains(#""undelivered":1"#) && retried.body.contains(#""unknown":[]"#))
            let again = try await harness.send("POST /v1/undelivered/retry", body: #"{"ids":["\#(id)"]}"#)
            #expect(again.body == #"{"retried":[],"unknown":["\#(id)"]}"#)
            #expect(try await harness.send("GET /v1/undelivered?limit=0").status == 400)
            #expect(try await harness.send("GET /v1/undelivered?cursor=x").status == 400)
        }
    }

    @Test func `pushes require push, supervision requires supervise, and the content of undelivered ones content`() async throws {
        try await run { (harness, targets) async throws in
            harness.token.set([
                OperationsToken("p", identity: OperationsIdentity(name: "office", rights: [.push])),
                OperationsToken("s", identity: OperationsIdentity(name: "coach", rights: [.supervise])),
            ])
            func send(_ line: String, _ token: String, _ body: String = "") async throws -> HTTPReply {
                try await harness.send(line, ["Authorization: Bearer \(token)"], body: body)
            }
            #expect(try await send("POST /v1/messages", "s", Self.text).status == 403)
            #expect(try await send("POST /v1/sessions/\(Targets.ended)/messages", "p", Self.text).status == 202)
            let listed = try await send("GET /v1/undelivered", "p")
            #expect(listed.status == 200 && !listed.body.contains(#""message""#))
            #expect(try await send("POST \(path)/takeover", "p").body.contains("supervise"))
            #expect(try await send("POST \(path)/takeover", "s").status == 200)
            #expect(targets.commands == ["takeover coach"])
        }
    }

    @Test func `commands answer with the state of the supervision, and faults with 409`() async throws {
        try await run { (harness, targets) async throws in
            let taken = try await harness.send("POST \(path)/takeover")
            #expect(taken.status == 200)
            #expect(
                taken.body == #"{"answered_by":"operator","open_requests":0,"operator":"anonymous","session_id":"\#(Targets.session)","#
                    + #""whispers":0}"#)
            #expect(try await harness.send("POST \(path)/whisper", body: #"{"text":"a"}"#).status == 200)
            let rejected = try await harness.send("POST \(path)/say", body: #"{"text":"a"}"#)
            #expect(rejected.status == 409 && rejected.problem?.contains("take it over first") == true)
            #expect(try await harness.send("POST \(path)/handback").status == 200)
            #expect(targets.commands.count == 4)
            for wrong in ["", "{}", #"{"text":""}"#, #"{"text":"a","b":1}"#] {
                #expect(try await harness.send("POST \(path)/say", body: wrong).status == 400)
            }
            for unknown in ["/v1/sessions/\(ULID(high: 5, low: 5))/takeover", "/v1/sessions/x/takeover"] {
                #expect(try await harness.send("POST \(unknown)").status == 404)
            }
            #expect(try await harness.send("GET \(path)/takeover").fields["allow"] == "POST")
        }
    }
}
