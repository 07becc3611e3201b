// SPDX-License-Identifier: Apache-2.0

/// The version of the encoding of ``UpstreamItem`` and ``UpstreamCommand``, the first byte of each message.
enum UpstreamMessageVersion {
    static let current: UInt8 = 1
}

/// A call to an ``UpstreamEventSink`` as a value, for sessions whose upstream calls are on another node.
package enum UpstreamItem: Sendable {
    case event(UpstreamEvent)
    case consumed(Int)
    case played(Int, RequestKey)
    case routed(RequestKey, RouteTariff)

    /// The item as a message between nodes.
    package var record: [UInt8] {
        var record = [UpstreamMessageVersion.current]
        switch self {
        case .event(let event):
            record.append(UInt8(0))
            event.append(to: &record)
        case .consumed(let bytes):
            record.append(UInt8(1))
            record.append(integer: Int64(bytes))
        case .played(let bytes, let request):
            record.append(UInt8(2))
            record.append(integer: Int64(bytes))
            record.append(key: request)
        case .routed(let request, let tariff):
            record.append(UInt8(3))
            record.append(key: request)
            tariff.append(to: &record)
        }
        return record
    }

    package init(record: [UInt8]) throws(RecordError) {
        var reader = RecordReader(record)
        guard try reader.fixed(UInt8.self) == UpstreamMessageVersion.current else { throw RecordError() }
        switch try reader.fixed(UInt8.self) {
        case 0: self = .event(try UpstreamEvent(&reader))
        case 1: self = .consumed(try reader.count())
        case 2:
            let bytes = try reader.count()
            self = .played(bytes, try reader.key())
        case 3:
            let request = try reader.key()
            self = .routed(request, try RouteTariff(&reader))
        default: throw RecordError()
        }
        try reader.expectEnd()
    }
}

extension RouteTariff {
    /// Maximum number of stages of a chain in a message.
    private static let maximumStages = 16

    func append(to record: inout [UInt8]) {
        record.append(text: route)
        record.append(UInt8(clamping: stages.count))
        for stage in stages {
            record.append(stage.role.code)
            record.append(text: stage.upstream)
            record.append(number: stage.price.per1kInputTokens)
            record.append(number: stage.price.per1kOutputTokens)
            record.append(number: stage.price.perAudioMinute)
            record.append(number: stage.price.per1kCharacters)
        }
    }

    convenience init(_ reader: inout RecordReader) throws(RecordError) {
        let route = try reader.text()
        let count = Int(try reader.fixed(UInt8.self))
        guard (1...Self.maximumStages).contains(count) else { throw RecordError() }
        var stages: [Stage] = []
        for _ in 0..<count {
            guard let role = UpstreamRole(code: try reader.fixed()) else { throw RecordError() }
            let upstream = try reader.text()
            var price = Price()
            price.per1kInputTokens = try reader.number()
            price.per1kOutputTokens = try reader.number()
            price.perAudioMinute = try reader.number()
            price.per1kCharacters = try reader.number()
            stages.append(Stage(role: role, upstream: upstream, price: price))
        }
        self.init(route: route, stages: stages)
    }
}

extension UpstreamRole {
    fileprivate var code: UInt8 {
        switch self {
        case .transcribe: 0
        case .respond: 1
        case .synthesize: 2
        case .any: 3
        }
    }

    fileprivate init?(code: UInt8) {
        switch code {
        case 0: self = .transcribe
        case 1: self = .respond
        case 2: self = .synthesize
        case 3: self = .any
        default: return nil
        }
    }
}
