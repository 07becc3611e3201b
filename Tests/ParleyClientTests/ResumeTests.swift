// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@testable import ParleyClient

@Suite struct ResumeTests {
    private static let ack = #"{"seq":0,"type":"ack"}"#

    private static func text(_ id: String, _ text: String) -> String { #"{"id":"\#(id)","text":"\#(text)","type":"text"}"# }

    private static func delta(_ sequence: Int, _ id: String, _ text: String, isDone: Bool = false) -> String {
        #"{"type":"text","seq":\#(sequence),"reply_to":"\#(id)","text":"\#(text)","final":\#(isDone)\#(isDone ? #","done":true"# : "")}"#
    }

    @Test func `a text waits for the session, and its response ends the reply`() {
        var client = MachineHarness()
        client.input { $0.start(now: $1) }
        let (id, sent, error) = client.say("hello")
        #expect(sent.isEmpty && error == nil)
        #expect(client.open() == [Self.ack, Self.text(id, "hello")])
        client.receive(#"{"type":"ack","id":"c-1"}"#)
        client.receive(Self.delta(1, id, "a"))
        client.receive(Self.delta(2, id, "b", isDone: true))
        #expect(client.deltas == ["a", "b"] && client.ends == ["c-1 done"])
    }

    @Test func `a text without an ack is sent again under its id; one with an ack isn't`() {
        var client = MachineHarness()
        client.start()
        let first = client.say("a").id
        let second = client.say("b").id
        client.receive(#"{"type":"ack","id":"\#(first)"}"#)
        client.lose()
        let sent = client.resume()
        #expect(sent == [Self.ack, Self.text(second, "b")])
        #expect(client.attempts.last?.token == "token1" && client.attempts.last?.sequence == 0)
        #expect(client.machine.statistics.messagesResent == 1 && client.machine.statistics.resumes == 1)
        client.receive(#"{"type":"ack","id":"\#(second)","duplicate":true}"#)
        client.receive(Self.delta(1, second, "x", isDone: true))
        client.receive(Self.delta(2, first, "y", isDone: true))
        #expect(client.ends == ["\(second) done", "\(first) done"] && client.lost.isEmpty)
    }

    @Test func `repeated messages aren't delivered again, but acknowledged`() {
        var client = MachineHarness()
        client.start()
        let id = client.say("a").id
        client.receive(Self.delta(1, id, "one"))
        client.lose()
        client.resume()
        #expect(client.attempts.last?.sequence == 1)
        client.receive(Self.delta(1, id, "one"))
        client.receive(Self.delta(3, id, "three"))
        client.receive(Self.delta(2, id, "two"))
        #expect(client.deltas == ["one", "three"] && client.machine.statistics.duplicatesDropped == 2)
        #expect(client.advance(.milliseconds(500)).contains(#"{"seq":3,"type":"ack"}"#))
    }

    @Test func `repeated binary messages are recognized by the number of the message before`() {
        var client = MachineHarness()
        client.start()
        let id = client.say("a").id
        let opening = #"{"type":"audio","seq":1,"reply_to":"\#(id)","format":{"codec":"pcm16","rate":24000,"channels":1}}"#
        func chunks(_ client: MachineHarness) -> [UInt8] {
            client.events.compactMap { event in
                if case .audio(_, _, let bytes) = event { bytes.first } else { nil }
            }
        }
        client.receive(opening)
        client.receive([2])
        client.receive([3])
        client.lose()
        client.resume()
        #expect(client.attempts.last?.sequence == 3)
        client.receive([4])
        #expect(chunks(client) == [2, 3, 4])
        client.receive(opening)
        client.receive([2])
        #expect(chunks(client) == [2, 3, 4])
    }

    @Test func `after a failed resume, accepted requests fail and others are sent in the new session`() {
        var client = MachineHarness()
        client.start()
        let accepted = client.say("a").id
        let open = client.say("b").id
        client.receive(#"{"type":"ack","id":"\#(accepted)"}"#)
        client.receive(Self.delta(7, accepted, "x"))
        client.lose()
        client.advanceToDeadline()
        let sent = client.open(#","resumed":false,"lost":true,"resume_error":"expired""#, token: "other")
        #expect(sent == [Self.ack, Self.text(open, "b")])
        #expect(client.lost == [[accepted]] && client.ends == ["\(accepted) lost"])
        // The new session counts from 1.
        client.receive(Self.delta(1, open, "new", isDone: true))
        #expect(client.deltas == ["x", "new"])
    }

    @Test func `with messages lost, a request that may have been accepted isn't taken for complete`() {
        var client = MachineHarness()
        client.start()
        let id = client.say("a").id
        client.lose()
        client.advanceToDeadline()
        client.open(#","resumed":true,"lost":true"#, sequence: 9)
        #expect(client.ends.isEmpty)
        client.receive(#"{"type":"ack","id":"\#(id)","duplicate":true}"#)
        #expect(client.ends == ["\(id) lost"])
    }

    @Test func `a session that continues before the last received message is given up`() {
        var client = MachineHarness()
        client.start()
        client.receive(Self.delta(5, client.say("a").id, "x"))
        client.lose()
        client.advanceToDeadline()
        client.open(#","resumed":true,"lost":false"#, sequence: 4)
        #expect(client.lost.count == 1 && client.machine.resumeToken == nil)
        client.advanceToDeadline()
        #expect(client.attempts.last?.token == nil)
    }

    @Test func `a cancelled reply ends at once; the gateway is told after the resume`() {
        var client = MachineHarness()
        client.start()
        let id = client.say("a").id
        client.receive(#"{"type":"ack","id":"\#(id)"}"#)
        client.lose()
        client.input { $0.cancel(id, playedMilliseconds: 40, now: $1) }
        #expect(client.ends == ["\(id) cancelled"])
        #expect(client.resume().contains(#"{"id":"\#(id)","played_ms":40,"type":"cancel"}"#))
        client.receive(Self.delta(1, id, "late"))
        client.receive(#"{"type":"status","seq":2,"reply_to":"\#(id)","state":"cancelled","done":true}"#)
        #expect(client.deltas.isEmpty && client.ends.count == 1)
    }

    // MARK: Audio

    @Test func `audio continues with the chunk that the gateway hasn't accepted`() {
        var client = MachineHarness()
        client.start()
        let id = client.listen().id
        client.append(1...5, to: id)
        #expect(client.takeChunks().isEmpty)
        client.receive(#"{"type":"ack","id":"\#(id)","chunks":0}"#)
        #expect(client.takeChunks() == [1, 2, 3, 4, 5])
        client.receive(#"{"type":"ack","id":"\#(id)","chunks":2}"#)
        client.lose()
        client.append(6...7, to: id)
        let sent = client.resume(#","open_audio":{"id":"\#(id)","chunks":3}"#)
        #expect(sent.contains(#"{"from":4,"id":"\#(id)","type":"audio"}"#) && client.takeChunks() == [4, 5, 6, 7])
        #expect(client.input { $0.endStream(id, now: $1) } == [#"{"final":true,"id":"\#(id)","type":"audio"}"#])
    }

    @Test func `a stream whose opening was lost is sent from the beginning`() {
        var client = MachineHarness()
        client.start()
        let id = client.listen().id
        client.append(1...2, to: id)
        client.lose()
        let sent = client.resume()
        #expect(sent.contains { $0.contains(#""format""#) && $0.contains(id) })
        client.receive(#"{"type":"ack","id":"\#(id)","chunks":0}"#)
        #expect(client.takeChunks() == [1, 2])
    }

    @Test func `a stream whose end the gateway has isn't sent again`() {
        var client = MachineHarness()
        client.start()
        let id = client.listen().id
        client.append(1...2, to: id)
        client.input { $0.endStream(id, now: $1) }
        client.receive(#"{"type":"ack","id":"\#(id)","chunks":0}"#)
        client.receive(#"{"type":"ack","id":"\#(id)","chunks":2}"#)
        _ = client.takeChunks()
        client.lose()
        #expect(client.resume() == [Self.ack] && client.takeChunks().isEmpty && client.ends.isEmpty)
    }

    @Test func `a rejected chunk is sent again after the requested delay`() {
        var client = MachineHarness()
        client.start()
        let id = client.listen().id
        client.append(1...4, to: id)
        client.receive(#"{"type":"ack","id":"\#(id)","chunks":0}"#)
        _ = client.takeChunks()
        client.receive(
            #"{"type":"error","error":{"code":"too_fast","message":"m","reply_to":"\#(id)","chunk":3,"retryable":true,"retry_after_ms":400}}"#
        )
        client.advance(.milliseconds(399))
        #expect(client.takeChunks().isEmpty)
        #expect(client.advance(.milliseconds(1)).contains(#"{"from":3,"id":"\#(id)","type":"audio"}"#))
        client.advance(.milliseconds(100))
        #expect(client.takeChunks() == [3, 4] && client.ends.isEmpty)
    }

    @Test func `a stream is full at 30 s of audio without an ack`() {
        var stream = AudioStream(id: "a", format: AudioFormat(codec: .pcm16, rate: 16_000, channels: 1))
        let second = [UInt8](repeating: 0, count: 32_000)
        for _ in 0..<29 { stream.append(second) }
        #expect(!stream.isFull)
        stream.append(second)
        #expect(stream.isFull && stream.buffered == .seconds(30))
    }
}
