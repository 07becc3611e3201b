// SPDX-License-Identifier: Apache-2.0

import GatewayCore

@testable import ParleyClient

/// A state machine with a manual clock, a fixed random number, and a record of its effects.
struct MachineHarness {
    var machine: SessionMachine
    var now = Instant(nanoseconds: 0)
    private(set) var sent: [String] = []
    private(set) var chunks: [[UInt8]] = []
    private(set) var events: [ParleyClient.Event] = []
    /// The attempts to connect: resume token and last sequence number.
    private(set) var attempts: [(token: String?, sequence: Int64)] = []
    private(set) var drops = 0
    private(set) var tokenRequests = 0

    init(random: Double = 0, _ change: (inout SessionMachine.Settings) -> Void = { _ in }) {
        var settings = SessionMachine.Settings()
        settings.prefix = "c"
        settings.random = { random }
        change(&settings)
        machine = SessionMachine(settings)
    }

    /// Passes an input, and returns the messages that it sent.
    @discardableResult
    mutating func input(_ body: (inout SessionMachine, Instant) -> [SessionMachine.Effect]) -> [String] {
        let before = sent.count
        for effect in body(&machine, now) {
            switch effect {
            case .connect(_, let token, let sequence): attempts.append((token, sequence))
            case .sendText(let text): sent.append(text)
            case .sendBinary(let bytes): chunks.append(bytes)
            case .drop: drops += 1
            case .fetchToken: tokenRequests += 1
            case .emit(let event): events.append(event)
            }
        }
        return Array(sent[before...])
    }

    @discardableResult
    mutating func receive(_ json: String) -> [String] { input { $0.received($0.connection, text: json, now: $1) } }

    @discardableResult
    mutating func receive(_ bytes: [UInt8]) -> [String] { input { $0.received($0.connection, binary: bytes, now: $1) } }

    /// Advances the clock and handles the timers that are due.
    @discardableResult
    mutating func advance(_ duration: Duration) -> [String] {
        now = now.advanced(by: duration)
        return input { $0.tick(now: $1) }
    }

    /// Advances the clock to the next deadline.
    @discardableResult
    mutating func advanceToDeadline() -> [String] {
        if let deadline = machine.deadline { now = max(now, deadline) }
        return input { $0.tick(now: $1) }
    }

    mutating func lose(_ code: String = "1006") { input { $0.disconnected($0.connection, SessionMachine.Failure(code: code), now: $1) } }

    @discardableResult
    mutating func open(_ fields: String = "", token: String = "token1", sequence: Int64 = 0, heartbeat: Int = 30_000) -> [String] {
        receive(
            #"{"type":"session","session_id":"s1","resume_token":"\#(token)","last_seq":\#(sequence),"heartbeat_ms":\#(heartbeat)\#(fields)}"#
        )
    }

    /// Connects for the first time.
    @discardableResult
    mutating func start() -> [String] {
        input { $0.start(now: $1) }
        return open()
    }

    /// Connects again after ``lose(_:)``, and resumes.
    @discardableResult
    mutating func resume(_ fields: String = "", token: String = "token2", sequence: Int64 = 100) -> [String] {
        advanceToDeadline()
        return open(#","resumed":true,"lost":false"# + fields, token: token, sequence: sequence)
    }

    /// Adds a text, and returns its id and the messages that were sent.
    mutating func say(_ text: String) -> (id: String, sent: [String], error: ParleyError?) {
        let id = machine.nextID()
        let error = machine.add(Request(id: id, message: .text(id: id, text: text), byteCount: text.utf8.count))
        return (id, input { $0.flush(now: $1) }, error)
    }

    /// Opens a stream of 16 kHz pcm16.
    mutating func listen() -> (id: String, sent: [String]) {
        let id = machine.nextID()
        let format = AudioFormat(codec: .pcm16, rate: 16_000, channels: 1)
        _ = machine.add(
            Request(id: id, message: .openAudio(id: id, format: format), byteCount: 0, stream: AudioStream(id: id, format: format)))
        return (id, input { $0.flush(now: $1) })
    }

    /// Adds chunks of 20 ms that consist of their number.
    mutating func append(_ numbers: ClosedRange<UInt8>, to id: String) {
        for number in numbers { input { $0.append([UInt8](repeating: number, count: 640), to: id, now: $1) } }
    }

    mutating func takeChunks() -> [UInt8] {
        defer { chunks = [] }
        return chunks.compactMap(\.first)
    }

    var deltas: [String] {
        events.compactMap { event in
            if case .delta(_, let text, _) = event { text } else { nil }
        }
    }

    /// The ends of replies: id, and the code of the error, or `done`.
    var ends: [String] {
        events.compactMap { event in
            if case .ended(let id, let error) = event { "\(id) \(error?.code ?? "done")" } else { nil }
        }
    }

    var lost: [[String]] {
        events.compactMap { event in
            if case .lost(let ids, _) = event { ids } else { nil }
        }
    }

    var advice: [String?] {
        events.compactMap { event in
            if case .advice(let text) = event { .some(text) } else { nil }
        }
    }
}
