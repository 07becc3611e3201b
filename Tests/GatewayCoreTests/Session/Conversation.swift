// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Testing

/// A session under test: its inputs are texts and events, and its effects are returned decoded.
final class Conversation {
    var session: Session
    var now = Instant(nanoseconds: 0)
    var wall: Int64 = 1_700_000_000_000
    private var scanner: MessageScanner
    private var effects: Effects

    static let id = ULID(high: 1, low: 2)

    init(_ policy: SessionPolicy = SessionPolicy(), global: SharedLimiter = SharedLimiter(), showsDetails: Bool = false) {
        session = Session(id: Self.id, policy: SharedPolicy(policy), global: global, now: now, wall: wall)
        scanner = MessageScanner(rules: policy.rules)
        effects = Effects(ids: ULIDSource(seed: 1), showsDetails: showsDetails)
    }

    /// The effects of one call.
    struct Outcome {
        /// Messages that aren't sequenced.
        var replies: [Message] = []
        /// Messages and frames from the outbox.
        var sequenced: [Message] = []
        var commands: [UpstreamCommand] = []
        var incidents: [GatewayError] = []
        var closing: Closing?
        var endsSession = false

        var texts: [String] { replies.map(\.text) }
        /// Codes of the errors among the replies.
        var errors: [String] { replies.compactMap { $0.error?["code"] as? String } }
        /// The error, if there is exactly one.
        var error: [String: Any]? { errors.count == 1 ? replies.compactMap(\.error).first : nil }
        var isEmpty: Bool { replies.isEmpty && sequenced.isEmpty && commands.isEmpty && closing == nil && !endsSession }
    }

    struct Message {
        let bytes: [UInt8]
        let isBinary: Bool
        var mayCompress = true

        var text: String { String(decoding: bytes, as: UTF8.self) }
        var object: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(bytes))) as? [String: Any] ?? [:] }
        var type: String? { object["type"] as? String }
        var error: [String: Any]? { object["error"] as? [String: Any] }
        subscript(key: String) -> Any? { object[key] }
    }

    func send(_ json: String) -> Outcome {
        perform { session, scanner, effects in
            Array(json.utf8).withRawSpan { session.receive(text: $0, scanner: &scanner, effects: &effects) }
        }
    }

    func send(binary: [UInt8]) -> Outcome {
        perform { session, _, effects in binary.withRawSpan { session.receive(binary: $0, effects: &effects) } }
    }

    func receive(_ request: RequestKey, _ content: UpstreamEvent.Content, isLast: Bool = false) -> Outcome {
        perform { session, _, effects in session.receive(UpstreamEvent(request, content, isLast: isLast), effects: &effects) }
    }

    func controlFrame(of size: Int) -> (isAdmitted: Bool, outcome: Outcome) {
        var isAdmitted = false
        let outcome = perform { session, _, effects in isAdmitted = session.admitsControlFrame(of: size, effects: &effects) }
        return (isAdmitted, outcome)
    }

    func wantedEvents(socketQueueBytes: Int = .max) -> Int { session.wantedEvents(upTo: 64, socketQueueBytes: socketQueueBytes) }

    var isExpired: Bool { session.isExpired(at: now) }

    func canResume(after last: UInt64?) -> Bool { session.canResume(after: last) }

    func detach() { session.detach(now: now) }

    /// Resumes the session and returns the effects: the `session` message, and the messages that are written again.
    func resume(after last: UInt64?) -> Outcome {
        perform { session, _, effects in
            let isLost = session.resume(after: last, now: effects.now, wall: effects.wall)
            session.open(.resumed(isLost: isLost), token: Array("dG9rZW4".utf8), effects: &effects)
        }
    }

    func note(_ what: Timeline.Occurrence) { session.note(what, of: Self.id, wall: wall) }

    func report(_ depth: ReportDepth) -> SessionReport { session.report(depth) }

    func tick() -> Outcome { perform { session, _, effects in session.tick(effects: &effects) } }

    func advance(milliseconds: Int64) {
        now = now.advanced(byNanoseconds: milliseconds * 1_000_000)
        wall += milliseconds
    }

    /// The counters and histograms that the session has written to.
    var metrics: LoopMetrics { effects.metrics }
    /// The time that passes in a call before its messages are written.
    var writeDelay = Instant.Duration.zero

    /// Whether the socket accepts all messages of the outbox at the end of every call.
    var isSocketOpen = true

    func perform(_ body: (inout Session, inout MessageScanner, inout Effects) -> Void) -> Outcome {
        effects.now = now
        effects.sharedNow = now
        effects.wall = wall
        body(&session, &scanner, &effects)
        var outcome = Outcome()
        for reply in effects.replies {
            let bytes = Array(effects.replyBytes[reply.start..<reply.start + reply.count])
            outcome.replies.append(Message(bytes: bytes, isBinary: false, mayCompress: reply.mayCompress))
        }
        if isSocketOpen {
            let isMeasured = session.drain(upTo: .max) { span, tag in
                outcome.sequenced.append(
                    Message(bytes: (0..<span.byteCount).map { span.byte(at: $0) }, isBinary: tag.kind == .binary))
                return true
            }
            if isMeasured { session.measureWritten(now: now + writeDelay, effects: &effects) }
        }
        outcome.commands = effects.commands
        outcome.incidents = effects.incidents
        outcome.closing = effects.closing
        outcome.endsSession = session.isEnded
        effects.clear()
        return outcome
    }

    /// Adds a batch to the effects, as an event loop with a store does.
    func beginStoring() { effects.batch = StoreBatch() }

    /// Removes and returns the batch, with all changes since the last call.
    func endStoring() -> StoreBatch {
        session.store(effects: &effects)
        defer { effects.batch = nil }
        return effects.batch ?? StoreBatch()
    }

    /// Requests the `status` report and returns it.
    func status() -> [String: Any] { send(#"{"type":"status"}"#).replies.first?.object ?? [:] }

    /// Sends a text and returns the key of its request.
    @discardableResult
    func begin(_ id: String, text: String = "hello") throws -> RequestKey {
        try started(send(#"{"type":"text","id":"\#(id)","text":"\#(text)"}"#)).key
    }

    /// Opens an audio stream and returns the key of its request.
    @discardableResult
    func open(_ id: String, codec: String = "pcm16", rate: Int = 16_000, channels: Int = 1) throws -> RequestKey {
        try started(send(Self.opening(id, codec: codec, rate: rate, channels: channels))).key
    }

    static func opening(_ id: String, codec: String = "pcm16", rate: Int = 16_000, channels: Int = 1) -> String {
        #"{"type":"audio","id":"\#(id)","format":{"codec":"\#(codec)","rate":\#(rate),"channels":\#(channels)}}"#
    }

    static func recording(_ id: String, bytes: Int, codec: String = "mulaw", rate: Int = 8000) -> String {
        let data = Data(repeating: 0xFF, count: bytes).base64EncodedString()
        return #"{"type":"audio","id":"\#(id)","format":{"codec":"\#(codec)","rate":\#(rate),"channels":1},"data":"\#(data)","final":true}"#
    }
}

struct NotStarted: Error {
    let replies: [String]
}

/// Returns the request that an outcome starts.
func started(_ outcome: Conversation.Outcome) throws -> UpstreamRequest {
    for case .start(let request) in outcome.commands { return request }
    throw NotStarted(replies: outcome.texts)
}

extension UpstreamCommand {
    /// The command on one line, for comparison.
    var summary: String {
        switch self {
        case .start(let request): "start \(request.id)"
        case .audio(let key, let chunk): "audio \(key.number) \(chunk.count)"
        case .audioEnd(let key): "end \(key.number)"
        case .cancel(let key, let played): "cancel \(key.number)" + (played.map { " at \($0)" } ?? "")
        case .clientState(let state, let replyTo, let played):
            "state \(state.rawValue)" + (replyTo.map { " of \($0)" } ?? "") + (played.map { " at \($0)" } ?? "")
        }
    }
}

func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
