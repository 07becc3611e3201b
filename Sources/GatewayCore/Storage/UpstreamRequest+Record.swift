// SPDX-License-Identifier: Apache-2.0

extension UpstreamRequest {
    /// Appends the request to a record, from which it can be restored and sent again.
    func append(to record: inout [UInt8]) {
        record.append(counted: id)
        switch input {
        case .text(let text):
            record.append(UInt8(0))
            record.append(counted: text)
        // Requests of clients are never recordings: only a chain makes one from a stream, and it isn't stored.
        case .audio(let format), .recording(let format, _):
            record.append(UInt8(1))
            format.append(to: &record)
        }
        record.append(optional: lang)
        record.append(stream ? 1 : 0)
        record.append((output.text ? 1 : 0) | (output.audio ? 2 : 0) | (output.format == nil ? 0 : 4))
        output.format?.append(to: &record)
        record.append(optional: output.voice)
        record.append(UInt8(truncatingIfNeeded: meta.count))
        for entry in meta {
            record.append(counted: entry.key)
            record.append(counted: entry.value)
        }
        record.append(counted: Array(path.utf8))
        access?.append(to: &record)
    }

    init(key: RequestKey, record: [UInt8]) throws(RecordError) {
        var reader = RecordReader(record)
        let id = try reader.id()
        let input: Input = try reader.flag() ? .audio(try AudioFormat(&reader)) : .text(try reader.counted())
        let lang = try reader.optional()
        let stream = try reader.flag()
        let flags = try reader.fixed(UInt8.self)
        var output = Output()
        output.text = flags & 1 != 0
        output.audio = flags & 2 != 0
        if flags & 4 != 0 { output.format = try AudioFormat(&reader) }
        output.voice = try reader.optional()
        var meta: [Meta] = []
        for _ in 0..<(try reader.fixed(UInt8.self)) { meta.append(Meta(key: try reader.counted(), value: try reader.counted())) }
        let path = try reader.text()
        // Absent without authentication, and in records of earlier versions.
        let access = reader.isAtEnd ? nil : try RequestAccess(&reader)
        self.init(key: key, id: id, input: input, lang: lang, stream: stream, output: output, meta: meta, path: path, access: access)
    }
}

extension AudioFormat {
    func append(to record: inout [UInt8]) {
        record.append(UInt8(truncatingIfNeeded: Codec.allCases.firstIndex(of: codec) ?? 0))
        record.append(fixed: UInt32(truncatingIfNeeded: rate))
        record.append(UInt8(truncatingIfNeeded: channels))
    }

    init(_ reader: inout RecordReader) throws(RecordError) {
        let index = Int(try reader.fixed(UInt8.self))
        let rate = Int(try reader.fixed(UInt32.self))
        let channels = Int(try reader.fixed(UInt8.self))
        guard Codec.allCases.indices.contains(index), Self.rates.contains(rate), Self.channelCounts.contains(channels) else {
            throw RecordError()
        }
        self.init(codec: Codec.allCases[index], rate: rate, channels: channels)
    }
}

extension [UInt8] {
    mutating func append(optional value: [UInt8]?) {
        append(value == nil ? 0 : 1)
        if let value { append(counted: value) }
    }
}

extension RecordReader {
    mutating func optional() throws(RecordError) -> [UInt8]? { try flag() ? try counted() : nil }
}
