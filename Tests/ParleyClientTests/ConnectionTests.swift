// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@testable import ParleyClient

@Suite struct ConnectionTests {
    private func closingCode(_ client: MachineHarness) -> String? { client.machine.state.closingError?.code }

    @Test func `delays have full jitter, double up to the cap, and end after ten attempts`() {
        var client = MachineHarness(random: 0.5)
        client.input { $0.start(now: $1) }
        var delays: [Int64] = []
        while case .connecting = client.machine.state {
            client.lose("connect_failed")
            guard case .waiting(let delay, _) = client.machine.state else { break }
            delays.append(delay.clampedMilliseconds)
            client.advanceToDeadline()
        }
        #expect(delays == [125, 250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000])
        #expect(closingCode(client) == "gave_up" && client.advice.last == Advice.gaveUp.text)
        client.input { $0.reconnect(now: $1) }
        #expect(client.machine.state == .connecting)
    }

    @Test func `a stable minute clears the count of attempts, each tenth takes one off`() {
        var backoff = Backoff(BackoffPolicy(), random: { 0 })
        for _ in 0..<10 { #expect(backoff.next() != nil) }
        #expect(backoff.next() == nil)
        backoff.wasOpen(for: .milliseconds(5999))
        #expect(backoff.count == 10)
        backoff.wasOpen(for: .seconds(6))
        #expect(backoff.count == 9)
        backoff.wasOpen(for: .seconds(60))
        #expect(backoff.count == 0)
    }

    @Test func `the delay that the gateway asks for is the least delay`() {
        var client = MachineHarness()
        client.input { $0.start(now: $1) }
        client.input { machine, now in
            machine.disconnected(1, SessionMachine.Failure(code: "503", retryAfter: .seconds(7), status: 503), now: now)
        }
        #expect(client.machine.state == .waiting(.seconds(7), ParleyError("503", isRetryable: true)))
    }

    @Test(arguments: ["4503", "4504", "4505", "4506", "4507", "403", "1009"])
    func `after these codes the client stops, and its replies fail`(code: String) {
        var client = MachineHarness()
        client.start()
        let id = client.say("a").id
        client.lose(code)
        #expect(closingCode(client) == code && client.ends == ["\(id) \(code)"] && client.machine.deadline == nil)
        #expect(client.say("b").error?.code == code)
    }

    @Test func `4503 after an attempt that was given up comes from the client itself, once`() {
        var client = MachineHarness()
        client.input { $0.start(now: $1) }
        client.advance(.seconds(15))
        client.advanceToDeadline()
        client.open()
        client.lose("4503")
        #expect(closingCode(client) == nil)
        client.resume()
        client.lose("4503")
        #expect(closingCode(client) == "4503")
    }

    @Test func `until the gateway has confirmed a token, the one before it is tried again, once`() {
        var client = MachineHarness()
        client.start()
        let id = client.say("a").id
        client.receive(#"{"type":"ack","id":"\#(id)"}"#)
        client.lose()
        client.resume(token: "second")
        client.lose()
        client.advanceToDeadline()
        #expect(client.attempts.last?.token == "second")
        // A late attempt with the first token had the second one replaced.
        #expect(client.open(#","resumed":false,"lost":true,"resume_error":"unknown""#, token: "other").contains { $0.contains("bye") })
        #expect(client.attempts.last?.token == "token1" && client.ends.isEmpty)
        client.open(#","resumed":true,"lost":false"#, token: "fourth", sequence: 100)
        #expect(client.ends.isEmpty)
        client.lose()
        client.advanceToDeadline()
        client.open(#","resumed":false,"lost":true,"resume_error":"unknown""#, token: "other")
        client.open(#","resumed":false,"lost":true,"resume_error":"unknown""#, token: "new")
        #expect(client.ends == ["\(id) lost"])
    }

    @Test(arguments: ["4500", "4501", "401"])
    func `a rejected token is refreshed once`(code: String) {
        var client = MachineHarness()
        client.input { $0.start(now: $1) }
        client.lose(code)
        client.advanceToDeadline()
        #expect(client.attempts.count == 2)
        client.lose(code)
        #expect(closingCode(client) == code)

        var fixed = MachineHarness { $0.canRefresh = false }
        fixed.start()
        fixed.lose(code)
        #expect(closingCode(fixed) == code)

        // A session in between permits another refresh.
        var later = MachineHarness()
        later.start()
        later.lose(code)
        later.resume()
        later.lose(code)
        #expect(closingCode(later) == nil)
    }

    @Test func `a token that expires soon is renewed on the open connection`() {
        var client = MachineHarness()
        client.start()
        client.receive(#"{"type":"goaway","reason":"token_expiring","deadline_ms":30000}"#)
        #expect(client.tokenRequests == 1)
        #expect(client.input { machine, _ in machine.renew(token: "jwt") } == [#"{"token":"jwt","type":"auth"}"#])
        #expect(client.machine.isOpen)
    }

    @Test func `before a drain, the client reconnects within the deadline`() {
        var client = MachineHarness(random: 0.99)
        client.start()
        client.receive(#"{"type":"goaway","reason":"draining","deadline_ms":10000}"#)
        client.advance(.milliseconds(7919))
        #expect(client.drops == 0)
        client.advance(.milliseconds(1))
        #expect(client.drops == 1)
        client.resume()
        #expect(client.machine.isOpen && client.attempts.last?.token == "token1")
    }

    @Test func `session_expired opens a new session`() {
        var client = MachineHarness()
        client.start()
        client.lose("4502")
        #expect(client.lost == [[]])
        client.advanceToDeadline()
        #expect(client.attempts.last?.token == nil)
    }

    // MARK: Health

    @Test func `two missing pongs mean that the connection is dead`() {
        var client = MachineHarness()
        client.start()
        #expect(client.advance(.seconds(1)) == [#"{"id":"p1","ts":0,"type":"ping"}"#])
        client.now = client.now.advanced(by: .milliseconds(30))
        client.receive(#"{"type":"pong","id":"p1","server_ts":1}"#)
        #expect(client.machine.statistics.roundTrip == .milliseconds(30))
        client.advance(.milliseconds(29_970))
        client.advance(.seconds(5))
        #expect(client.machine.isOpen && client.machine.statistics.lostPongs == 1)
        client.advance(.milliseconds(4999))
        #expect(client.machine.isOpen)
        client.advance(.milliseconds(1))
        #expect(!client.machine.isOpen && client.drops == 1)
        client.resume()
        #expect(client.machine.isOpen)
    }

    @Test func `a stalled program doesn't take the connection for dead`() {
        var client = MachineHarness()
        client.start()
        client.advance(.seconds(1))
        client.advance(.seconds(300))
        client.advance(.milliseconds(2999))
        #expect(client.machine.isOpen && client.machine.statistics.lostPongs == 0)
    }

    @Test func `an attempt without a session message ends after the timeout`() {
        var client = MachineHarness(random: 0.5)
        client.input { $0.start(now: $1) }
        client.advance(.milliseconds(14_999))
        #expect(client.machine.state == .connecting)
        client.advance(.milliseconds(1))
        guard case .waiting(_, let error) = client.machine.state else {
            Issue.record("\(client.machine.state)")
            return
        }
        #expect(error.code == "connect_timeout" && client.drops == 1)
    }

    // MARK: Queue and rejections

    @Test func `the queue is bounded by messages and bytes`() {
        var client = MachineHarness {
            $0.queuedMessages = 3
            $0.queuedBytes = 10
        }
        client.start()
        client.lose()
        #expect(client.say("12345").error == nil)
        #expect(client.say("123456").error?.code == "queue_full")
        #expect(client.say("12345").error == nil)
        #expect(client.say("").error == nil)
        #expect(client.say("").error?.code == "queue_full")
        #expect(client.machine.statistics.queued == 3)
    }

    @Test func `a rejected text is sent again after the requested delay, then one at a time`() {
        var client = MachineHarness()
        client.start()
        let id = client.say("a").id
        let rejection =
            #"{"type":"error","error":{"code":"rate_limited","message":"m","reply_to":"\#(id)","retryable":true,"retry_after_ms":2000}}"#
        client.receive(rejection)
        #expect(client.say("b").sent.isEmpty)
        #expect(!client.advance(.milliseconds(1999)).contains { $0.contains(#""text":"a""#) })
        #expect(client.advance(.milliseconds(1)).contains { $0.contains(#""text":"a""#) })
        client.receive(#"{"type":"ack","id":"\#(id)"}"#)
        #expect(client.advance(.seconds(2)).contains { $0.contains(#""text":"b""#) })
        #expect(client.ends.isEmpty)
    }

    @Test(arguments: [("rate_limited", 60_001), ("invalid_message", 100)])
    func `a text that is rejected for too long, or for good, fails`(code: String, delay: Int) {
        var client = MachineHarness()
        client.start()
        let id = client.say("a").id
        client.receive(
            #"{"type":"error","error":{"code":"\#(code)","message":"m","reply_to":"\#(id)","retryable":true,"retry_after_ms":\#(delay)}}"#)
        #expect(client.ends == ["\(id) \(code)"])
    }

    @Test(arguments: ["no json", "[]", #"{"type":"text","seq":"1"}"#])
    func `a malformed message ends the connection, and the session is resumed`(json: String) {
        var client = MachineHarness()
        client.start()
        client.receive(json)
        #expect(client.drops == 1)
        client.resume()
        #expect(client.machine.isOpen && client.attempts.last?.token == "token1")
    }

    @Test func `advice tells that the message is kept, and that all is well again`() {
        var client = MachineHarness()
        client.start()
        client.input { $0.setOnline(false, now: $1) }
        #expect(client.machine.state == .offline && client.machine.deadline == nil)
        _ = client.say("a")
        #expect(client.advice.last == "You are offline. Your message will be sent when you are back.")
        client.input { $0.setOnline(true, now: $1) }
        client.open(#","resumed":true,"lost":false"#, token: "token2", sequence: 0)
        #expect(client.advice.last == "Connected again. Nothing was lost.")
        client.advance(.seconds(1))
        client.receive(#"{"type":"pong","id":"p1"}"#)
        #expect(client.advice.last == .some(nil))
    }

    @Test func `close sends bye, fails what is open, and is final`() {
        var client = MachineHarness()
        client.start()
        let id = client.say("a").id
        #expect(client.input { $0.close(now: $1) } == [#"{"type":"bye"}"#])
        #expect(client.ends == ["\(id) closed"] && closingCode(client) == "closed")
        client.input { $0.reconnect(now: $1) }
        #expect(closingCode(client) == "closed" && client.machine.deadline == nil)
    }

    @Test func `the table has every error code and close code of the gateway`() {
        for code in ErrorCode.allCases { #expect(ParleyError.table[code.rawValue] != nil, "\(code)") }
        for code in CloseCode.allCases { #expect(ParleyError.table[String(code.rawValue)] != nil, "\(code)") }
    }

    @Test func `every code of the table has a text, and unknown codes have an entry`() {
        for (code, entry) in ParleyError.table { #expect(!entry.advice.text.isEmpty, "\(code)") }
        #expect(ParleyError.entry(for: "new_code") == ParleyError.table["internal"])
        #expect(ParleyError.entry(for: "418") == ParleyError.table["400"])
        #expect(ParleyError.entry(for: "599") == ParleyError.table["500"])
        #expect(ParleyError.entry(for: "4999") == ParleyError.table["1006"])
        #expect(Advice.reconnecting.text(translations: ["reconnecting": "In {seconds} Sekunden."], seconds: 3) == "In 3 Sekunden.")
    }
}
