// SPDX-License-Identifier: Apache-2.0

/// The body of a request to push a message: `{"type":"text","text":"…","ttl":"60s"}`, or `status` or `audio` with their members.
///
/// The members are those of the gateway's messages, without `seq`, `reply_to` and `push`. Strings are sanitized like those of clients.
package struct PushRequest: Sendable, Hashable {
    /// The reason why a request is rejected, as a sentence for operators.
    package struct Fault: Error, Sendable, Equatable {
        package var detail: String
        /// Whether the content is too large rather than malformed.
        package var isTooLarge = false

        package init(_ detail: String, isTooLarge: Bool = false) {
            self.detail = detail
            self.isTooLarge = isTooLarge
        }
    }

    /// The bounds of `ttl`, in milliseconds.
    package static let lifetimes: ClosedRange<Int64> = 1...86_400_000
    static let longestState = 64

    package let content: PushContent
    /// The time to live in milliseconds; nil: until the session ends.
    package let timeToLive: Int64?

    package init(_ content: PushContent, timeToLive: Int64? = nil) {
        self.content = content
        self.timeToLive = timeToLive
    }

    /// - Parameter rules: the limits on texts and recordings
    package init(json: [UInt8], rules: ValidationRules) throws(Fault) {
        let document: StrictJSON
        do throws(StrictJSON.Fault) {
            document = try StrictJSON(json)
        } catch {
            throw Fault(error == .duplicateMember ? "the body has duplicate members" : "the body must be a JSON object")
        }
        let type = document.member("type").flatMap { document.string($0) }
        let known: [String]
        switch type {
        case "text": known = ["text", "final"]
        case "status": known = ["state", "progress"]
        case "audio": known = ["format", "data", "final"]
        default: throw Fault("type must be text, status or audio")
        }
        var lifetime: Int64?
        for (name, value) in document.members(of: document.root) ?? [] where name != "type" {
            if name == "ttl" {
                lifetime = try Self.lifetime(value, document)
            } else if !known.contains(name) {
                throw Fault("unknown member; the members of \(type ?? "") are type, \(known.joined(separator: ", ")) and ttl")
            } else if name == "final", value.kind != .true {
                throw Fault("final must be true or absent")
            }
        }
        timeToLive = lifetime
        switch type {
        case "text": content = try Self.text(document, rules)
        case "status": content = try Self.status(document)
        default: content = try Self.audio(document, rules)
        }
    }

    private static func lifetime(_ value: JSONValue, _ document: StrictJSON) throws(Fault) -> Int64 {
        guard let milliseconds = document.string(value).flatMap({ DurationNotation.milliseconds($0) }), lifetimes.contains(milliseconds)
        else { throw Fault("ttl must be a duration from 1ms to 24h, such as \"60s\"") }
        return milliseconds
    }

    private static func text(_ document: StrictJSON, _ rules: ValidationRules) throws(Fault) -> PushContent {
        .text(try text(named: "text", in: document, rules))
    }

    /// Returns a required text, sanitized.
    static func text(named name: String, in document: StrictJSON, _ rules: ValidationRules) throws(Fault) -> [UInt8] {
        guard let text = document.member(name).flatMap({ document.sanitizedString($0) }), !text.isEmpty else {
            throw Fault("\(name) is required and must be a string that isn't empty")
        }
        guard text.utf8.count <= rules.maxTextBytes else {
            throw Fault("\(name) exceeds messages.max_text_bytes (\(rules.maxTextBytes))", isTooLarge: true)
        }
        return Array(text.utf8)
    }

    private static func status(_ document: StrictJSON) throws(Fault) -> PushContent {
        guard let state = document.member("state").flatMap({ document.sanitizedString($0) }), (1...longestState).contains(state.utf8.count)
        else { throw Fault("state is required and must be a string of 1 to \(longestState) bytes") }
        guard let value = document.member("progress") else { return .status(state: state, progress: nil) }
        guard let progress = document.number(value), (0...1).contains(progress) else {
            throw Fault("progress must be a number from 0 to 1")
        }
        return .status(state: state, progress: progress)
    }

    private static func audio(_ document: StrictJSON, _ rules: ValidationRules) throws(Fault) -> PushContent {
        guard let value = document.member("format") else { throw Fault("format is required") }
        let format = try format(value, document)
        guard let data = document.member("data").flatMap({ document.string($0) }) else {
            throw Fault("data is required and must be a string")
        }
        let text = Array(data.utf8)
        guard text.count / 4 * 3 - 2 <= rules.audioMaxBytes else { throw tooLarge(rules) }
        var recording: [UInt8] = []
        guard text.withRawSpan({ Base64.decode($0, into: &recording) }), !recording.isEmpty else {
            throw Fault("data must be base64 and must not be empty")
        }
        guard recording.count <= rules.audioMaxBytes else { throw tooLarge(rules) }
        guard recording.count % format.frameBytes == 0 else { throw Fault("data must hold whole samples of all channels") }
        var clock = AudioStreamClock(format: format)
        guard recording.withRawSpan({ clock.nanoseconds(adding: $0) }) != nil else { throw Fault("data must be one Opus packet") }
        return .audio(format, recording)
    }

    private static func tooLarge(_ rules: ValidationRules) -> Fault {
        Fault("data exceeds messages.audio_max_bytes (\(rules.audioMaxBytes))", isTooLarge: true)
    }

    private static func format(_ value: JSONValue, _ document: StrictJSON) throws(Fault) -> AudioFormat {
        var (codec, rate, channels): (AudioFormat.Codec?, Int?, Int?) = (nil, nil, 1)
        guard let members = document.members(of: value) else { throw Fault("format must be an object") }
        for (name, value) in members {
            let number = document.number(value).flatMap { Int(exactly: $0) }
            switch name {
            case "codec": codec = document.string(value).flatMap { AudioFormat.Codec(rawValue: $0) }
            case "rate": rate = number.flatMap { AudioFormat.rates.contains($0) ? $0 : nil }
            case "channels": channels = number.flatMap { AudioFormat.channelCounts.contains($0) ? $0 : nil }
            default: throw Fault("unknown member of format; the members are codec, rate and channels")
            }
        }
        guard let codec, let rate, let channels else {
            throw Fault(
                "format must have a codec (\(AudioFormat.Codec.allCases.map(\.rawValue).joined(separator: ", "))), a rate from 8000 to 48000, "
                    + "and 1 or 2 channels")
        }
        return AudioFormat(codec: codec, rate: rate, channels: channels)
    }
}
