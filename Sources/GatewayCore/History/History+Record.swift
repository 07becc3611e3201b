// SPDX-License-Identifier: Apache-2.0

extension History.Tag {
    func append(to record: inout [UInt8]) {
        record.append(speaker.rawValue)
        record.append(kind.rawValue | inclusion.rawValue << 4)
        record.append(fixed: at)
        if kind == .audio {
            record.append(fixed: audio.bytes)
            record.append(fixed: audio.nanoseconds)
        }
        record.append(fixed: request)
        record.append(played == nil ? 0 : 1)
        if let played { record.append(fixed: played) }
        record.append(latency == nil ? 0 : 1)
        if let latency {
            record.append(fixed: latency.first)
            record.append(fixed: latency.last)
        }
    }

    init(_ reader: inout RecordReader) throws(RecordError) {
        let (speakerByte, kindByte): (UInt8, UInt8) = (try reader.fixed(), try reader.fixed())
        guard let speaker = History.Speaker(rawValue: speakerByte), let kind = History.Kind(rawValue: kindByte & 0xF),
            let inclusion = History.Inclusion(rawValue: kindByte >> 4)
        else { throw RecordError() }
        self.init(speaker, kind, at: try reader.time())
        self.inclusion = inclusion
        if kind == .audio { audio = History.Audio(bytes: try reader.fixed(), nanoseconds: try reader.fixed()) }
        guard audio.bytes >= 0, audio.nanoseconds >= 0 else { throw RecordError() }
        request = try reader.fixed()
        if try reader.flag() { played = try reader.fixed() }
        if try reader.flag() { latency = History.Latency(first: try reader.fixed(), last: try reader.fixed()) }
    }
}
