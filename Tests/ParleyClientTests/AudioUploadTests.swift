// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import ParleyClient
import Testing

@Suite struct AudioUploadTests {
    private static func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    private func upload(_ chunks: Int, _ pace: AudioUpload.Pace, factor: Double? = nil) -> AudioUpload {
        AudioUpload(chunkCount: chunks, chunkDuration: .milliseconds(20), pace: pace, gatewayFactor: factor)
    }

    /// Returns the chunks that are due at `now`, and the first action other than sending.
    private func burst(_ upload: inout AudioUpload, at now: Instant) -> (chunks: [Int], then: AudioUpload.Action) {
        var chunks: [Int] = []
        while true {
            switch upload.nextAction(now: now) {
            case .send(let chunk): chunks.append(chunk)
            case let other: return (chunks, other)
            }
        }
    }

    @Test func `nothing is sent before the opening is acknowledged`() {
        var upload = upload(3, .fast)
        #expect(upload.nextAction(now: Self.at(0)) == .wait(until: nil))
        upload.acknowledged(0, now: Self.at(5))
        #expect(upload.nextAction(now: Self.at(5)) == .send(chunk: 1))
    }

    @Test func `in real time a chunk is due every 20 ms, and overdue chunks are sent at once`() {
        var upload = upload(4, .realtime)
        upload.acknowledged(0, now: Self.at(100))
        #expect(burst(&upload, at: Self.at(100)) == ([1], .wait(until: Self.at(120))))
        #expect(burst(&upload, at: Self.at(119)) == ([], .wait(until: Self.at(120))))
        #expect(burst(&upload, at: Self.at(145)) == ([2, 3], .wait(until: Self.at(160))))
        #expect(burst(&upload, at: Self.at(160)) == ([4], .end))
        #expect(upload.hasEnded)
        #expect(upload.nextAction(now: Self.at(200)) == .wait(until: nil))
    }

    @Test func `the fast pace sends a window of unacknowledged chunks`() {
        var upload = upload(AudioUpload.window + 10, .fast)
        upload.acknowledged(0, now: Self.at(0))
        #expect(burst(&upload, at: Self.at(0)) == (Array(1...AudioUpload.window), .wait(until: nil)))
        upload.acknowledged(64, now: Self.at(1))
        #expect(burst(&upload, at: Self.at(1)).chunks == Array(AudioUpload.window + 1...AudioUpload.window + 10))
    }

    @Test func `the end of the stream waits for the last acknowledgement, for at most two seconds`() {
        var acknowledged = upload(2, .fast)
        acknowledged.acknowledged(0, now: Self.at(0))
        #expect(burst(&acknowledged, at: Self.at(0)) == ([1, 2], .wait(until: Self.at(2000))))
        acknowledged.acknowledged(2, now: Self.at(900))
        #expect(acknowledged.nextAction(now: Self.at(900)) == .end)

        var unacknowledged = upload(2, .fast)
        unacknowledged.acknowledged(0, now: Self.at(0))
        _ = burst(&unacknowledged, at: Self.at(0))
        #expect(unacknowledged.nextAction(now: Self.at(1999)) == .wait(until: Self.at(2000)))
        #expect(unacknowledged.nextAction(now: Self.at(2000)) == .end)
    }

    @Test(arguments: ["too_fast", "rate_limited", "overloaded"])
    func `after a rejected chunk the stream resumes from that chunk after the requested delay`(code: String) {
        var upload = upload(6, .fast)
        upload.acknowledged(0, now: Self.at(0))
        _ = burst(&upload, at: Self.at(0))
        #expect(upload.rejected(code, chunk: 4, retryAfter: 250, now: Self.at(10)) == .continues(after: .milliseconds(250)))
        #expect(upload.accepted == 3)
        #expect(upload.nextAction(now: Self.at(259)) == .wait(until: Self.at(260)))
        #expect(upload.nextAction(now: Self.at(260)) == .resume(from: 4))
        #expect(upload.nextAction(now: Self.at(260)) == .send(chunk: 4))
    }

    @Test func `after a rejection the pace stays just below the gateway's limit`() {
        var upload = upload(500, .fast, factor: 2)
        upload.acknowledged(0, now: Self.at(0))
        _ = burst(&upload, at: Self.at(0))
        _ = upload.rejected("too_fast", chunk: 100, retryAfter: 10, now: Self.at(0))
        #expect(upload.nextAction(now: Self.at(10)) == .resume(from: 100))
        #expect(burst(&upload, at: Self.at(10)).chunks == [100])
        // 20 ms at twice the pace, less 5 %.
        let second = burst(&upload, at: Self.at(1010))
        #expect(second.chunks.count == 95)
        _ = upload.rejected("too_fast", chunk: 150, retryAfter: 10, now: Self.at(1010))
        #expect(upload.nextAction(now: Self.at(1020)) == .resume(from: 150))
        _ = burst(&upload, at: Self.at(1020))
        #expect(burst(&upload, at: Self.at(2020)).chunks.count == 85)
    }

    @Test func `without retry_after_ms the delay doubles until a chunk is accepted`() {
        var upload = upload(300, .fast)
        upload.acknowledged(0, now: Self.at(0))
        var now: Int64 = 0
        for expected: Int64 in [100, 200, 400, 800, 1600, 2000, 2000] {
            _ = burst(&upload, at: Self.at(now))
            #expect(
                upload.rejected("overloaded", chunk: 1, retryAfter: nil, now: Self.at(now)) == .continues(after: .milliseconds(expected)))
            now += expected
            #expect(upload.nextAction(now: Self.at(now)) == .resume(from: 1))
        }
        _ = burst(&upload, at: Self.at(now))
        upload.acknowledged(1, now: Self.at(now))
        now += 60_000
        _ = burst(&upload, at: Self.at(now))
        #expect(upload.rejected("overloaded", chunk: 2, retryAfter: nil, now: Self.at(now)) == .continues(after: .milliseconds(100)))
    }

    @Test func `after a rejection a real-time stream, too, waits for its last acknowledgement`() {
        var upload = upload(2, .realtime)
        upload.acknowledged(0, now: Self.at(0))
        _ = burst(&upload, at: Self.at(0))
        _ = upload.rejected("overloaded", chunk: 1, retryAfter: 40, now: Self.at(5))
        #expect(upload.nextAction(now: Self.at(45)) == .resume(from: 1))
        #expect(burst(&upload, at: Self.at(100)) == ([1, 2], .wait(until: Self.at(2100))))
        upload.acknowledged(2, now: Self.at(110))
        #expect(upload.nextAction(now: Self.at(110)) == .end)
    }

    @Test(
        arguments: [
            ("invalid_audio", 1), ("memory_limit", 1), ("too_fast", nil), ("too_fast", 0), ("too_fast", 3), ("too_fast", -1),
            ("too_fast", Int.max),
        ] as [(String, Int?)])
    func `a permanent error or an impossible chunk number fails the stream`(code: String, chunk: Int?) {
        var upload = upload(9, .realtime)
        upload.acknowledged(0, now: Self.at(0))
        _ = burst(&upload, at: Self.at(25))
        #expect(upload.rejected(code, chunk: chunk, retryAfter: 1, now: Self.at(30)) == .fails)
    }

    @Test func `a rejected opening fails the stream; impossible acknowledgements are ignored`() {
        var rejected = upload(9, .fast)
        #expect(rejected.rejected("rate_limited", chunk: nil, retryAfter: 1, now: Self.at(0)) == .fails)

        var upload = upload(3, .fast)
        upload.acknowledged(.max, now: Self.at(0))
        #expect(upload.accepted == 0)
        #expect(burst(&upload, at: Self.at(0)).chunks == [1, 2, 3])
        upload.acknowledged(2, now: Self.at(0))
        upload.acknowledged(1, now: Self.at(0))
        upload.acknowledged(-5, now: Self.at(0))
        #expect(upload.accepted == 2)
    }

    @Test func `after a lost connection the stream resumes after the accepted chunks`() {
        var upload = upload(4, .realtime)
        upload.acknowledged(0, now: Self.at(0))
        #expect(burst(&upload, at: Self.at(40)).chunks == [1, 2, 3])
        for impossible in [-1, 4, 5] {
            let resumed = upload.resumed(chunks: impossible, now: Self.at(50))
            #expect(!resumed)
        }
        let resumed = upload.resumed(chunks: 1, now: Self.at(1000))
        #expect(resumed && upload.nextAction(now: Self.at(1000)) == .resume(from: 2))
        #expect(burst(&upload, at: Self.at(1000)) == ([2], .wait(until: Self.at(1020))))
        #expect(burst(&upload, at: Self.at(1040)) == ([3, 4], .end))
        // The message that ends the stream was lost as well.
        let again = upload.resumed(chunks: 4, now: Self.at(2000))
        #expect(again && upload.nextAction(now: Self.at(2000)) == .resume(from: 5))
        #expect(burst(&upload, at: Self.at(2000)) == ([], .end))
    }

    @Test func `a stream that the gateway doesn't have restarts from the first chunk`() {
        var upload = upload(2, .realtime)
        upload.acknowledged(0, now: Self.at(0))
        #expect(burst(&upload, at: Self.at(0)).chunks == [1])
        upload.reopened()
        #expect(upload.nextAction(now: Self.at(10)) == .wait(until: nil))
        upload.acknowledged(0, now: Self.at(20))
        #expect(burst(&upload, at: Self.at(40)) == ([1, 2], .end))
    }

    @Test func `a growing stream sends chunks as they come, and ends without waiting if it isn't ahead of real time`() {
        var upload = AudioUpload()
        upload.acknowledged(0, now: Self.at(0))
        #expect(upload.nextAction(now: Self.at(0)) == .wait(until: nil))
        for _ in 1...100 { upload.append(duration: .milliseconds(20)) }
        #expect(burst(&upload, at: Self.at(0)).chunks.count == 100)
        upload.complete()
        #expect(upload.nextAction(now: Self.at(0)) == .end)

        var fast = AudioUpload()
        fast.acknowledged(0, now: Self.at(0))
        for _ in 1...101 { fast.append(duration: .milliseconds(20)) }
        fast.complete()
        #expect(burst(&fast, at: Self.at(0)).then == .wait(until: Self.at(2000)))
        fast.acknowledged(101, now: Self.at(300))
        #expect(fast.nextAction(now: Self.at(300)) == .end)
    }
}
