// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Testing

@Suite struct SessionTapTests {
    private func frame(_ number: Int, content: String? = nil) -> SessionTap.Frame {
        SessionTap.Frame(at: Int64(number), direction: .in, type: "text", size: number, content: content)
    }

    @Test(arguments: [(-1, 0), (0, 0), (1, 1), (100, 100)])
    func `frames over the maximum number are dropped and counted`(over: Int, dropped: Int) async throws {
        let tap = SessionTap(includesContent: false)
        for number in 0..<(SessionTap.maximumFrames + over) { tap.add(frame(number)) }
        let batch = try #require(await tap.next())
        #expect(batch.frames.map(\.size) == Array(0..<min(SessionTap.maximumFrames, SessionTap.maximumFrames + over)))
        #expect(batch.dropped == dropped)
        tap.add(frame(7))
        #expect(await tap.next() == SessionTap.Batch(frames: [frame(7)], dropped: 0))
    }

    @Test func `frames over the maximum bytes are dropped, also smaller ones after them`() async throws {
        let tap = SessionTap(includesContent: true)
        let content = String(repeating: "x", count: SessionTap.maximumContentBytes)
        let fitting = SessionTap.maximumBytes / (SessionTap.maximumContentBytes + SessionTap.frameBytes)
        for number in 0..<(fitting + 1) { tap.add(frame(number, content: content)) }
        tap.add(frame(99))
        let batch = try #require(await tap.next())
        #expect(batch.frames.count == fitting && batch.dropped == 2)
    }

    @Test func `a reader waits for a frame, a wake-up or the end`() async throws {
        let tap = SessionTap(includesContent: false)
        async let first = tap.next()
        tap.add(frame(1))
        #expect(await first?.frames.count == 1)
        async let second = tap.next()
        tap.wake()
        #expect(await second == SessionTap.Batch())
        async let third = tap.next()
        tap.end()
        #expect(await third == nil)
    }

    @Test func `a tap that has ended returns the frames before the end, and takes no more`() async {
        let tap = SessionTap(includesContent: false)
        tap.add(frame(1))
        tap.end()
        tap.add(frame(2))
        #expect(tap.isEnded)
        #expect(await tap.next() == SessionTap.Batch(frames: [frame(1)], dropped: 0))
        #expect(await tap.next() == nil)
    }

    @Test func `a cancelled reader ends the tap`() async {
        let tap = SessionTap(includesContent: false)
        let reader = Task { await tap.next() }
        reader.cancel()
        #expect(await reader.value == nil)
        #expect(tap.isEnded)
    }
}
