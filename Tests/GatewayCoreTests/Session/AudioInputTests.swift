// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct AudioInputTests {
    private static let format = AudioFormat(codec: .pcm16, rate: 16_000, channels: 1)

    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    private func open() throws -> AudioInput {
        var input = AudioInput()
        input.open(id: try #require(MessageID("u1")), key: RequestKey(number: 1), format: Self.format, now: at(0))
        return input
    }

    private func verdict(_ input: AudioInput) -> String {
        switch input.verdict {
        case .stray: "stray"
        case .ignored: "ignored"
        case .chunk(let stream): "chunk of \(stream.id)"
        }
    }

    @Test func `without a stream, a frame is stray`() {
        var input = AudioInput()
        #expect(verdict(input) == "stray")
        #expect(input.stream == nil && input.acknowledgeDeadline == nil)
        // Without a stream, these calls have no effect.
        input.rejectChunk()
        input.abandon()
        input.acknowledged(now: at(0))
        #expect(input.accept(now: at(0)) == false)
        #expect(input.resume(from: 1) == false)
        #expect(verdict(input) == "stray")
    }

    @Test func `an open stream accepts frames until its end`() throws {
        var input = try open()
        #expect(verdict(input) == "chunk of u1")
        input.end()
        #expect(verdict(input) == "stray")
    }

    @Test func `after a rejected chunk, frames are ignored until a from with the number of the next chunk`() throws {
        var input = try open()
        _ = input.accept(now: at(0))
        _ = input.accept(now: at(0))
        input.rejectChunk()
        #expect(verdict(input) == "ignored")
        for wrong in [0, 1, 2, 4, .max] as [UInt64] { #expect(input.resume(from: wrong) == false) }
        #expect(verdict(input) == "ignored")
        #expect(input.resume(from: 3) == true)
        #expect(verdict(input) == "chunk of u1")
    }

    @Test func `all frames of a rejected opening are ignored`() {
        var input = AudioInput()
        input.ignoreOpening(MessageID("u2"))
        #expect(verdict(input) == "ignored")
        #expect(input.resume(from: 1) == false)
        #expect(input.accept(now: at(0)) == false)
        input.end()
        #expect(verdict(input) == "stray")
    }

    @Test func `a rejected second opening makes the open stream wait for from`() throws {
        var input = try open()
        input.ignoreOpening(MessageID("u2"))
        #expect(verdict(input) == "ignored")
        #expect(input.stream?.id == MessageID("u1"))
        #expect(input.resume(from: 1) == true)
    }

    @Test func `frames of an abandoned stream are ignored until the next opening`() throws {
        var input = try open()
        input.abandon()
        #expect(verdict(input) == "ignored")
        #expect(input.stream == nil)
        input.open(id: try #require(MessageID("u2")), key: RequestKey(number: 2), format: Self.format, now: at(0))
        #expect(verdict(input) == "chunk of u2")
    }

    @Test func `an ack is due after 64 chunks`() throws {
        var input = try open()
        for _ in 1...63 { #expect(input.accept(now: at(0)) == false) }
        #expect(input.accept(now: at(0)) == true)
        input.acknowledged(now: at(0))
        for _ in 1...63 { #expect(input.accept(now: at(0)) == false) }
        #expect(input.accept(now: at(0)) == true)
    }

    @Test func `an ack is due one second after the previous one`() throws {
        var input = try open()
        #expect(input.acknowledgeDeadline == nil)
        #expect(input.accept(now: at(999)) == false)
        #expect(input.acknowledgeDeadline == at(1000))
        #expect(input.accept(now: at(1000)) == true)
        input.acknowledged(now: at(1000))
        #expect(input.acknowledgeDeadline == nil)
        #expect(input.accept(now: at(1999)) == false)
        #expect(input.acknowledgeDeadline == at(2000))
    }
}
