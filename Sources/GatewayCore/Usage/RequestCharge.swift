// SPDX-License-Identifier: Apache-2.0

/// The usage of one request, and the part of it that was already charged.
///
/// Charges are differences between totals, so that estimates can be corrected and rounding errors don't add up.
///
/// A class, so that requests without a user carry a null pointer only. `@unchecked Sendable`: each charge belongs to one request in flight,
/// which is only used by the event loop that has its session.
final class RequestCharge: @unchecked Sendable {
    /// The bytes of text that count as one token where the upstream hasn't reported its usage.
    static let bytesPerToken = 4
    /// The maximum number of tokens and characters of one request. Higher numbers of an upstream are wrong.
    static let maximumCount: Int64 = 1 << 40

    private(set) var tariff: RouteTariff?
    /// Whether the request counts as a message; false once it was rejected after all.
    var isMessage = true
    /// Whether the request is a text.
    let isText: Bool
    var audioInNanoseconds: Int64 = 0
    var audioOutNanoseconds: Int64 = 0
    /// Estimated or reported tokens of the stage that responds.
    private(set) var inputTokens: Int64
    private(set) var outputTokens: Int64 = 0
    /// Reported tokens of the transcribe stage.
    private(set) var transcribeTokens = Usage(inputTokens: 0, outputTokens: 0)
    /// Whether the tokens of the respond stage were reported.
    private(set) var isReported = false
    /// Characters of the request's text.
    let inputCharacters: Int64
    private(set) var synthesizedCharacters: Int64 = 0

    /// The total that the user's account has.
    private(set) var counted = UsageAmounts()
    /// The totals by stage that are in the rows for reports; empty before the first row.
    private(set) var recorded: [UsageAmounts] = []
    /// Whether the request was restored from the store and not sent to its upstream yet: its usage so far was charged before.
    var isRestored = false
    /// The day of the last charge.
    private(set) var day: UTCDay
    /// The exhausted quota because of which the response stops after the current sentence.
    var exhausted: Quota?
    /// Whether a sentence is being spoken.
    var isSpeaking = false
    /// The format of the audio output that is open.
    var openAudio: AudioFormat?

    /// - Parameter text: the text of the request; nil for audio
    init(text: [UInt8]?, day: UTCDay) {
        isText = text != nil
        inputTokens = text.map(RequestCharge.tokens) ?? 0
        inputCharacters = Int64(text?.characterCount ?? 0)
        self.day = day
    }

    init(isText: Bool, inputTokens: Int64, inputCharacters: Int64, day: UTCDay) {
        self.isText = isText
        self.inputTokens = inputTokens
        self.inputCharacters = inputCharacters
        self.day = day
    }

    func restore(
        tariff: RouteTariff?, isReported: Bool, outputTokens: Int64, transcribeTokens: Usage, synthesizedCharacters: Int64,
        counted: UsageAmounts, recorded: [UsageAmounts]
    ) {
        (self.tariff, self.isReported, self.outputTokens, self.transcribeTokens) = (tariff, isReported, outputTokens, transcribeTokens)
        (self.synthesizedCharacters, self.counted, self.recorded) = (synthesizedCharacters, counted, recorded)
    }

    /// Estimates the tokens of a text: one for each 4 bytes, rounded up.
    static func tokens(_ text: [UInt8]) -> Int64 { Int64((text.count + bytesPerToken - 1) / bytesPerToken) }

    // MARK: Usage

    func route(to tariff: RouteTariff) {
        self.tariff = tariff
        guard isRestored else { return }
        isRestored = false
        _ = take()
        recorded = stageTotals
    }

    func respond(_ delta: [UInt8]) {
        if !isReported { outputTokens = outputTokens.saturatingSum(Self.tokens(delta)) }
    }

    /// Adds a final transcript, the input of the next stage if there is one.
    func transcribe(_ text: [UInt8]) {
        guard !isReported, let tariff, tariff.transcriber != nil, tariff.responder != nil else { return }
        inputTokens = inputTokens.saturatingSum(Self.tokens(text))
    }

    func synthesize(characters: Int) {
        synthesizedCharacters = min(synthesizedCharacters.saturatingSum(Int64(characters)), Self.maximumCount)
    }

    /// Replaces the estimates by the tokens that the upstreams reported.
    func report(_ epilogue: UpstreamEvent.Epilogue) {
        func clamped(_ usage: Usage) -> Usage {
            Usage(
                inputTokens: min(max(0, usage.inputTokens), Self.maximumCount),
                outputTokens: min(max(0, usage.outputTokens), Self.maximumCount))
        }
        if let usage = epilogue.transcribeUsage { transcribeTokens = clamped(usage) }
        guard let usage = epilogue.usage, usage != epilogue.transcribeUsage else { return }
        let rest = clamped(
            Usage(
                inputTokens: usage.inputTokens.saturatingDifference(epilogue.transcribeUsage?.inputTokens ?? 0),
                outputTokens: usage.outputTokens.saturatingDifference(epilogue.transcribeUsage?.outputTokens ?? 0)))
        (inputTokens, outputTokens, isReported) = (rest.inputTokens, rest.outputTokens, true)
    }

    /// Cancels every charge: the request was rejected after all.
    func cancel() {
        isMessage = false
        (inputTokens, outputTokens, audioInNanoseconds, audioOutNanoseconds, synthesizedCharacters) = (0, 0, 0, 0, 0)
    }

    // MARK: Totals

    /// The usage of a stage so far, with its cost.
    private func total(of stage: Int, in tariff: RouteTariff) -> UsageAmounts {
        var amounts = UsageAmounts()
        // The message counts for the upstream that gets it first.
        let first = isText ? tariff.responder ?? tariff.synthesizer ?? 0 : 0
        if stage == first { amounts.messages = isMessage ? 1 : 0 }
        if stage == (tariff.transcriber ?? tariff.responder ?? 0) { amounts.audioIn = audioInNanoseconds / 1000 }
        let speaker = tariff.synthesizer ?? tariff.responder ?? tariff.stages.count - 1
        if stage == speaker { amounts.audioOut = audioOutNanoseconds / 1000 }
        if stage == tariff.responder {
            amounts.inputTokens = inputTokens
            amounts.outputTokens = outputTokens
        }
        if stage == tariff.transcriber {
            amounts.inputTokens = transcribeTokens.inputTokens
            amounts.outputTokens = transcribeTokens.outputTokens
        }
        var characters: Int64 = 0
        if stage == tariff.synthesizer { characters = synthesizedCharacters }
        // An upstream that does everything synthesizes the request's text if it returns audio.
        if stage == speaker, tariff.synthesizer == nil, audioOutNanoseconds > 0 { characters = inputCharacters }
        amounts.cost = tariff.stages[stage].price.cost(of: amounts, characters: characters)
        return amounts
    }

    private var stageTotals: [UsageAmounts] {
        let tariff = tariff ?? .unrouted
        return tariff.stages.indices.map { total(of: $0, in: tariff) }
    }

    /// Returns the usage since the last call, which the caller charges to the account.
    func take() -> UsageAmounts {
        guard !isRestored else { return .zero }
        let tariff = tariff ?? .unrouted
        var total = UsageAmounts()
        for stage in tariff.stages.indices { total += self.total(of: stage, in: tariff) }
        defer { counted = total }
        return total - counted
    }

    /// Marks the message as counted by the account.
    func countMessage() { counted.messages = 1 }

    /// Passes the usage by upstream since the last call to `record`, on the day of the last charge.
    func takeRows(of user: String, _ record: (UsageAmounts, UsageRow) -> Void) {
        guard !isRestored else { return }
        let tariff = tariff ?? .unrouted
        let totals = stageTotals
        for stage in totals.indices {
            let amounts = stage < recorded.count ? totals[stage] - recorded[stage] : totals[stage]
            guard amounts != .zero else { continue }
            record(amounts, UsageRow(user: user, day: day, route: tariff.route, upstream: tariff.stages[stage].upstream))
        }
        recorded = totals
    }

    /// Sets the day of the next charge.
    func begin(_ day: UTCDay) { self.day = day }
}

extension [UInt8] {
    /// The number of Unicode scalars of a UTF-8 text.
    package var characterCount: Int { reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) } }
}

extension Price {
    /// The cost of an upstream's service, rounded to millionths.
    func cost(of amounts: UsageAmounts, characters: Int64) -> Int64 {
        let minutes = Double(amounts.audioIn.saturatingSum(amounts.audioOut)) / 60e6
        let cost =
            (Double(amounts.inputTokens) * per1kInputTokens + Double(amounts.outputTokens) * per1kOutputTokens
                + Double(characters) * per1kCharacters) / 1000 + minutes * perAudioMinute
        return Int64(exactly: min((cost * 1e6).rounded(), 9e15)) ?? 0
    }
}
