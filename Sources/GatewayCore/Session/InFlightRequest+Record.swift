// SPDX-License-Identifier: Apache-2.0

/// The transfer of a request in flight to another gateway, with everything that the stored records lack.
extension InFlightRequest {
    /// - Parameters:
    ///   - wall: the current time in Unix milliseconds
    ///   - now: the same moment on the clock of the event loop
    func append(to record: inout [UInt8], now: Instant, wall: Int64) {
        func onWall(_ instant: Instant?) -> Int64 { instant.map { wall - (now - $0).milliseconds } ?? -1 }
        record.append(fixed: key.number)
        record.append(counted: id)
        record.append(kind.rawValue)
        record.append(fixed: startedAtMilliseconds)
        record.append(fixed: onWall(startedAt))
        record.append(fixed: onWall(inputEndedAt))
        record.append(fixed: onWall(responseBeganAt))
        record.append(fixed: UInt32(clamping: extraBytes))
        record.append(counted: responseText)
        for audio in [audio, responseAudio] {
            record.append(fixed: audio.bytes)
            record.append(fixed: audio.nanoseconds)
        }
        record.append(fixed: spokenNanoseconds)
        record.append(fixed: generatedNanoseconds)
        for flag in [
            isResponseTruncated, hasText, hasAudio, isAudioOpen, hasLatencyEntry, hasResponse, hasOutput, inputEnded, self.record == nil,
        ] {
            record.append(flag ? 1 : 0)
        }
        record.append(fixed: storedChunks ?? .max)
        record.append(perhaps: responseClock?.format) { $1.append(to: &$0) }
        turn.append(to: &record)
        record.append(charge == nil ? 0 : 1)
        charge?.append(to: &record)
    }

    init(_ reader: inout RecordReader, now: Instant, wall: Int64) throws(RecordError) {
        func instant(_ time: Int64) -> Instant { now - .milliseconds(max(0, wall &- time)) }
        let key = RequestKey(number: try reader.fixed())
        let id = try reader.id()
        guard let kind = Turn.Kind(rawValue: try reader.fixed()) else { throw RecordError() }
        let started = try reader.time()
        let startedAt = instant(try reader.time())
        let (inputEnded, responseBegan): (Int64, Int64) = (try reader.fixed(), try reader.fixed())
        self.init(
            key: key, id: id, kind: kind == .audio ? .audio : .text, startedAt: startedAt, wall: started,
            extraBytes: Int(try reader.fixed(UInt32.self)))
        inputEndedAt = inputEnded < 0 ? nil : instant(inputEnded)
        responseBeganAt = responseBegan < 0 ? nil : instant(responseBegan)
        responseText = try reader.counted()
        audio = History.Audio(bytes: try reader.fixed(), nanoseconds: try reader.fixed())
        responseAudio = History.Audio(bytes: try reader.fixed(), nanoseconds: try reader.fixed())
        spokenNanoseconds = try reader.fixed()
        generatedNanoseconds = try reader.fixed()
        isResponseTruncated = try reader.flag()
        hasText = try reader.flag()
        hasAudio = try reader.flag()
        isAudioOpen = try reader.flag()
        hasLatencyEntry = try reader.flag()
        hasResponse = try reader.flag()
        hasOutput = try reader.flag()
        self.inputEnded = try reader.flag()
        // The session was stored before its transfer, so the record of the request was, too.
        guard try reader.flag() else { throw RecordError() }
        let chunks: UInt64 = try reader.fixed()
        storedChunks = chunks == .max ? nil : chunks
        responseClock = try reader.perhaps { (reader) throws(RecordError) in AudioStreamClock(format: try AudioFormat(&reader)) }
        restore(try Turn(&reader))
        charge = try reader.flag() ? try RequestCharge(&reader) : nil
    }
}
