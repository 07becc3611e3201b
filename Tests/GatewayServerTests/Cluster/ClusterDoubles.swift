// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

@testable import GatewayServer

/// Stands in for a session: records what its link delivers.
final class RecordingSession: UpstreamEventSink, ConversationSource {
    private(set) var lines: [String] = []
    private(set) var events: [UpstreamEvent] = []
    private(set) var consumedBytes = 0
    private(set) var tariffs: [String] = []
    private(set) var positions: [Int] = []
    var onEvent: (UpstreamEvent) -> Void = { _ in }

    func deliver(_ event: consuming UpstreamEvent) -> Bool {
        let event = event
        events.append(event)
        lines.append("\(event.request.number) \(Self.text(event.content))\(event.isLast ? " last" : "")")
        onEvent(event)
        return true
    }

    func consumed(_ bytes: Int) { consumedBytes += bytes }
    func routed(_ request: RequestKey, to tariff: RouteTariff) { tariffs.append("\(request.number) \(tariff.route)") }
    func played(_ bytes: Int, of request: RequestKey) { positions.append(bytes) }
    func conversation(before request: RequestKey, lines: Int, bytes: Int) -> [ConversationLine] { [] }

    /// Returns the lines since the last call.
    func takeLines() -> [String] {
        defer { lines = [] }
        return lines
    }

    /// The texts of a request, joined.
    func text(of key: UInt64) -> String {
        events.filter { $0.request.number == key }.map {
            if case .text(let text, _) = $0.content { String(decoding: text, as: UTF8.self) } else { "" }
        }.joined()
    }

    private static func text(_ content: UpstreamEvent.Content) -> String {
        switch content {
        case .text(let text, _): "'\(String(decoding: text, as: UTF8.self))'"
        case .failure(let reason, let retryAfter, let isRetryable): "\(reason) \(retryAfter ?? -1) \(isRetryable ?? false)"
        case .audioChunk(let chunk): "chunk \(chunk.count)"
        case .transcript: "transcript"
        default: "\(content)"
        }
    }
}

/// An upstream link that produces events as fast as demand permits, and records commands.
final class EndlessLink: UpstreamLink {
    private var session: (any UpstreamEventSink & ConversationSource)?
    private var credit = 0
    private var number = 0
    private(set) var commands: [String] = []
    private(set) var isClosed = false
    var key = RequestKey(number: 1)
    var size = 1000
    /// The number of events; further demand isn't met.
    var limit = Int.max

    init(session: any UpstreamEventSink & ConversationSource) { self.session = session }

    var produced: Int { number }
    var isSynchronous: Bool { false }
    var heldBytes: Int { 0 }

    func send(_ command: UpstreamCommand, audio: [UInt8]) {
        switch command {
        case .start(let request): commands.append("start \(request.key.number)")
        case .audio(let key, let chunk): commands.append("audio \(key.number) \(audio[chunk].count)")
        case .audioEnd(let key): commands.append("end \(key.number)")
        case .cancel(let key, let played): commands.append("cancel \(key.number) \(played ?? -1)")
        case .clientState(let state, _, _): commands.append("state \(state)")
        }
    }

    func demand(_ events: Int) {
        credit += events
        pump()
    }

    func pump() {
        while credit > 0, number < limit, let session {
            credit -= 1
            number += 1
            var text = Array("\(number) ".utf8)
            text += [UInt8](repeating: 0x2E, count: max(0, size - text.count))
            session.deliver(UpstreamEvent(key, .text(text, final: false)))
        }
    }

    /// Delivers an event regardless of demand.
    func deliver(_ content: UpstreamEvent.Content, of key: UInt64 = 1, isLast: Bool = false) {
        session?.deliver(UpstreamEvent(RequestKey(number: key), content, isLast: isLast))
    }

    func consumed(_ bytes: Int) { session?.consumed(bytes) }
    func played(_ bytes: Int) { session?.played(bytes, of: key) }

    func withdraw() -> Int {
        defer { credit = 0 }
        return credit
    }

    func detach() { session = nil }
    func move(to session: any UpstreamEventSink & ConversationSource, on eventLoop: any EventLoop) { self.session = session }

    func close() {
        isClosed = true
        session = nil
    }
}
