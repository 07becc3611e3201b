import GatewayCore
import Testing

@Suite struct AudioIntakeTests {
    private static let format = AudioFormat(codec: .pcm16, rate: 16_000, channels: 1)

    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    private func open() throws -> AudioIntake {
        var intake = AudioIntake()
        intake.open(id: try #require(MessageID("u1")), key: RequestKey(number: 1), format: Self.format, now: at(0))
        return intake
    }

    private func verdict(_ intake: AudioIntake) -> String {
        switch intake.verdict {
        case .stray: "stray"
        case .ignored: "ignored"
        case .chunk(let stream): "chunk of \(stream.id)"
        }
    }

    @Test func `without a stream a frame is stray`() {
        var intake = AudioIntake()
        #expect(verdict(intake) == "stray")
        #expect(intake.stream == nil && intake.acknowledgeDeadline == nil)
        // None of these has anything to act on.
        intake.refuseChunk()
        intake.abandon()
        intake.acknowledged(now: at(0))
        #expect(intake.accept(now: at(0)) == false)
        #expect(intake.resume(from: 1) == false)
        #expect(verdict(intake) == "stray")
    }

    @Test func `an open stream takes frames until its end`() throws {
        var intake = try open()
        #expect(verdict(intake) == "chunk of u1")
        intake.end()
        #expect(verdict(intake) == "stray")
    }

    @Test func `after a refused chunk frames are ignored until the right from`() throws {
        var intake = try open()
        _ = intake.accept(now: at(0))
        _ = intake.accept(now: at(0))
        intake.refuseChunk()
        #expect(verdict(intake) == "ignored")
        for wrong in [0, 1, 2, 4, .max] as [UInt64] { #expect(intake.resume(from: wrong) == false) }
        #expect(verdict(intake) == "ignored")
        #expect(intake.resume(from: 3) == true)
        #expect(verdict(intake) == "chunk of u1")
    }

    @Test func `a refused opening is ignored with all its frames`() {
        var intake = AudioIntake()
        intake.ignoreOpening(MessageID("u2"))
        #expect(verdict(intake) == "ignored")
        #expect(intake.resume(from: 1) == false)
        #expect(intake.accept(now: at(0)) == false)
        intake.end()
        #expect(verdict(intake) == "stray")
    }

    @Test func `a refused second opening makes the open stream wait`() throws {
        var intake = try open()
        intake.ignoreOpening(MessageID("u2"))
        #expect(verdict(intake) == "ignored")
        #expect(intake.stream?.id == MessageID("u1"))
        #expect(intake.resume(from: 1) == true)
    }

    @Test func `an abandoned stream ignores what is on its way`() throws {
        var intake = try open()
        intake.abandon()
        #expect(verdict(intake) == "ignored")
        #expect(intake.stream == nil)
        intake.open(id: try #require(MessageID("u2")), key: RequestKey(number: 2), format: Self.format, now: at(0))
        #expect(verdict(intake) == "chunk of u2")
    }

    @Test func `an ack is due after 64 chunks`() throws {
        var intake = try open()
        for _ in 1...63 { #expect(intake.accept(now: at(0)) == false) }
        #expect(intake.accept(now: at(0)) == true)
        intake.acknowledged(now: at(0))
        for _ in 1...63 { #expect(intake.accept(now: at(0)) == false) }
        #expect(intake.accept(now: at(0)) == true)
    }

    @Test func `an ack is due after a second`() throws {
        var intake = try open()
        #expect(intake.acknowledgeDeadline == nil)
        #expect(intake.accept(now: at(999)) == false)
        #expect(intake.acknowledgeDeadline == at(1000))
        #expect(intake.accept(now: at(1000)) == true)
        intake.acknowledged(now: at(1000))
        #expect(intake.acknowledgeDeadline == nil)
        #expect(intake.accept(now: at(1999)) == false)
        #expect(intake.acknowledgeDeadline == at(2000))
    }
}
