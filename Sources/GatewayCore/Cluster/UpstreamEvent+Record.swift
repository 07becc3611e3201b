// SPDX-License-Identifier: Apache-2.0

extension UpstreamEvent {
    func append(to record: inout [UInt8]) {
        record.append(key: request)
        record.append(flag: isLast)
        content.append(to: &record)
        record.append(perhaps: epilogue) { $1.append(to: &$0) }
    }

    init(_ reader: inout RecordReader) throws(RecordError) {
        let request = try reader.key()
        let isLast = try reader.bool()
        let content = try Content(&reader)
        let epilogue = try reader.perhaps { reader throws(RecordError) in try Epilogue(&reader) }
        self.init(request, content, isLast: isLast, epilogue: epilogue)
    }
}

extension UpstreamEvent.Content {
    func append(to record: inout [UInt8]) {
        switch self {
        case .text(let text, let final):
            record.append(UInt8(0))
            record.append(counted: text)
            record.append(flag: final)
        case .unsentText(let text):
            record.append(UInt8(1))
            record.append(counted: text)
        case .transcript(let text, let final, let confidence, let start, let end):
            record.append(UInt8(2))
            record.append(counted: text)
            record.append(flag: final)
            record.append(perhaps: confidence) { $0.append(number: $1) }
            record.append(perhaps: start) { $0.append(integer: $1) }
            record.append(perhaps: end) { $0.append(integer: $1) }
        case .audio(let format):
            record.append(UInt8(3))
            format.append(to: &record)
        case .audioChunk(let chunk):
            record.append(UInt8(4))
            record.append(counted: chunk)
        case .audioEnd(let format):
            record.append(UInt8(5))
            format.append(to: &record)
        case .sentence(let characters):
            record.append(UInt8(6))
            record.append(integer: Int64(characters))
        case .status(let state, let progress, let bytes):
            record.append(UInt8(7))
            record.append(text: state)
            record.append(perhaps: progress) { $0.append(number: $1) }
            record.append(perhaps: bytes) { $0.append(integer: Int64($1)) }
        case .failure(let reason, let retryAfter, let isRetryable):
            record.append(UInt8(8))
            record.append(text: reason.rawValue)
            record.append(perhaps: retryAfter) { $0.append(integer: $1) }
            record.append(perhaps: isRetryable) { $0.append(flag: $1) }
        }
    }

    init(_ reader: inout RecordReader) throws(RecordError) {
        switch try reader.fixed(UInt8.self) {
        case 0:
            let text = try reader.counted()
            self = .text(text, final: try reader.bool())
        case 1: self = .unsentText(try reader.counted())
        case 2:
            let text = try reader.counted()
            let final = try reader.bool()
            let confidence = try reader.perhaps { reader throws(RecordError) in try reader.number() }
            let start = try reader.perhaps { reader throws(RecordError) in try reader.integer() }
            let end = try reader.perhaps { reader throws(RecordError) in try reader.integer() }
            self = .transcript(text, final: final, confidence: confidence, startMilliseconds: start, endMilliseconds: end)
        case 3: self = .audio(try AudioFormat(&reader))
        case 4: self = .audioChunk(try reader.counted())
        case 5: self = .audioEnd(try AudioFormat(&reader))
        case 6: self = .sentence(characters: try reader.count())
        case 7:
            let state = try reader.text()
            let progress = try reader.perhaps { reader throws(RecordError) in try reader.number() }
            self = .status(state, progress: progress, bytes: try reader.perhaps { reader throws(RecordError) in try reader.count() })
        case 8:
            guard let reason = ErrorReason(rawValue: try reader.text()) else { throw RecordError() }
            let retryAfter = try reader.perhaps { reader throws(RecordError) in try reader.integer() }
            let isRetryable = try reader.perhaps { reader throws(RecordError) in try reader.bool() }
            self = .failure(reason, retryAfterMilliseconds: retryAfter, isRetryable: isRetryable)
        default: throw RecordError()
        }
    }
}

extension UpstreamEvent.Epilogue {
    func append(to record: inout [UInt8]) {
        record.append(perhaps: usage) { $1.append(to: &$0) }
        record.append(perhaps: transcribeUsage) { $1.append(to: &$0) }
        record.append(perhaps: timing) { $1.append(to: &$0) }
        record.append(perhaps: finish) { $0.append(text: $1.rawValue) }
        record.append(perhaps: correlationID) { $0.append(ulid: $1) }
        record.append(perhaps: speech) { $0.append(text: $1.rawValue) }
    }

    init(_ reader: inout RecordReader) throws(RecordError) {
        self.init()
        usage = try reader.perhaps { reader throws(RecordError) in try Usage(&reader) }
        transcribeUsage = try reader.perhaps { reader throws(RecordError) in try Usage(&reader) }
        timing = try reader.perhaps { reader throws(RecordError) in try CallTiming(&reader) }
        finish = try reader.perhaps { reader throws(RecordError) in
            guard let finish = FinishReason(rawValue: try reader.text()) else { throw RecordError() }
            return finish
        }
        correlationID = try reader.perhaps { reader throws(RecordError) in try reader.ulid() }
        speech = try reader.perhaps { reader throws(RecordError) in
            guard let speech = Speech(rawValue: try reader.text()) else { throw RecordError() }
            return speech
        }
    }
}

extension Usage {
    fileprivate func append(to record: inout [UInt8]) {
        record.append(integer: inputTokens)
        record.append(integer: outputTokens)
    }

    fileprivate init(_ reader: inout RecordReader) throws(RecordError) {
        let input = try reader.integer()
        self.init(inputTokens: input, outputTokens: try reader.integer())
    }
}

extension CallTiming {
    fileprivate func append(to record: inout [UInt8]) {
        for duration in [queue, connect, first, total] { record.append(integer: duration.nanoseconds) }
    }

    fileprivate init(_ reader: inout RecordReader) throws(RecordError) {
        self.init()
        queue = .nanoseconds(try reader.integer())
        connect = .nanoseconds(try reader.integer())
        first = .nanoseconds(try reader.integer())
        total = .nanoseconds(try reader.integer())
    }
}
