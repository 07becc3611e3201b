// SPDX-License-Identifier: Apache-2.0

extension Push {
    func append(to record: inout [UInt8]) {
        record.append(fixed: id.high)
        record.append(fixed: id.low)
        record.append(isRetry ? 1 : 0)
        record.append(fixed: timeToLive ?? -1)
        switch audience {
        case .session: record.append(0)
        case .all: record.append(1)
        case .user(let user):
            record.append(2)
            record.append(counted: Array(user.utf8))
        }
        switch content {
        case .text(let text):
            record.append(0)
            record.append(counted: text)
        case .status(let state, let progress):
            record.append(progress == nil ? 1 : 2)
            record.append(counted: Array(state.utf8))
            if let progress { record.append(fixed: progress.bitPattern) }
        case .audio(let format, let recording):
            record.append(3)
            format.append(to: &record)
            record.append(counted: recording)
        }
    }

    convenience init(_ reader: inout RecordReader) throws(RecordError) {
        let id = ULID(high: try reader.fixed(), low: try reader.fixed())
        let isRetry = try reader.flag()
        let lifetime: Int64 = try reader.fixed()
        let audience: Audience
        switch try reader.fixed(UInt8.self) {
        case 0: audience = .session
        case 1: audience = .all
        case 2: audience = .user(try reader.text())
        default: throw RecordError()
        }
        let content: PushContent
        switch try reader.fixed(UInt8.self) {
        case 0: content = .text(try reader.counted())
        case 1: content = .status(state: try reader.text(), progress: nil)
        case 2: content = .status(state: try reader.text(), progress: Double(bitPattern: try reader.fixed()))
        case 3: content = .audio(try AudioFormat(&reader), try reader.counted())
        default: throw RecordError()
        }
        self.init(id: id, PushRequest(content, timeToLive: lifetime < 0 ? nil : lifetime), to: audience, isRetry: isRetry)
    }
}
