// SPDX-License-Identifier: Apache-2.0

/// The transfer of a charge to another gateway.
extension RequestCharge {
    func append(to record: inout [UInt8]) {
        record.append(tariff == nil ? 0 : 1)
        tariff?.append(to: &record)
        for flag in [isMessage, isText, isReported, isRestored, isSpeaking] { record.append(flag ? 1 : 0) }
        for number in [
            audioInNanoseconds, audioOutNanoseconds, inputTokens, outputTokens, transcribeTokens.inputTokens, transcribeTokens.outputTokens,
            inputCharacters, synthesizedCharacters,
        ] {
            record.append(fixed: number)
        }
        counted.append(to: &record)
        record.append(UInt8(truncatingIfNeeded: recorded.count))
        for amounts in recorded { amounts.append(to: &record) }
        record.append(fixed: day.number)
        record.append(counted: Array((exhausted?.name ?? "").utf8))
        record.append(perhaps: openAudio) { $1.append(to: &$0) }
    }

    convenience init(_ reader: inout RecordReader) throws(RecordError) {
        let tariff = try reader.flag() ? try RouteTariff(&reader) : nil
        let (isMessage, isText, isReported) = (try reader.flag(), try reader.flag(), try reader.flag())
        let (isRestored, isSpeaking) = (try reader.flag(), try reader.flag())
        var numbers = InlineArray<8, Int64>(repeating: 0)
        for index in numbers.indices { numbers[index] = try reader.fixed() }
        let counted = try UsageAmounts(&reader)
        var recorded: [UsageAmounts] = []
        for _ in 0..<(try reader.fixed(UInt8.self)) { recorded.append(try UsageAmounts(&reader)) }
        guard let day = UTCDay(number: Int64(try reader.fixed(Int32.self))) else { throw RecordError() }
        self.init(isText: isText, inputTokens: numbers[2], inputCharacters: numbers[6], day: day)
        restore(
            tariff: tariff, isReported: isReported, outputTokens: numbers[3],
            transcribeTokens: Usage(inputTokens: numbers[4], outputTokens: numbers[5]), synthesizedCharacters: numbers[7], counted: counted,
            recorded: recorded)
        self.isMessage = isMessage
        self.isRestored = isRestored
        self.isSpeaking = isSpeaking
        (audioInNanoseconds, audioOutNanoseconds) = (numbers[0], numbers[1])
        let name = try reader.text()
        exhausted = name.isEmpty ? nil : Quota(name: name)
        openAudio = try reader.perhaps { (reader) throws(RecordError) in try AudioFormat(&reader) }
    }
}

extension UsageAmounts {
    func append(to record: inout [UInt8]) {
        for number in [messages, audioIn, audioOut, inputTokens, outputTokens, cost] { record.append(fixed: number) }
    }

    init(_ reader: inout RecordReader) throws(RecordError) {
        self.init()
        messages = try reader.fixed()
        audioIn = try reader.fixed()
        audioOut = try reader.fixed()
        inputTokens = try reader.fixed()
        outputTokens = try reader.fixed()
        cost = try reader.fixed()
    }
}
