// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The open spans of a message in flight, confined to the event loop of its request.
final class MessageTrace {
    /// The maximum number of spans below the message; further ones are only counted.
    static let maximumSpans = 64

    private let tracer: Tracer
    private var message: TraceSpan
    private var children: [TraceSpan] = []
    private var omitted = 0
    private var isEnded = false
    private var generator = SystemRandomNumberGenerator()
    let clock: TraceClock

    init(tracer: Tracer, span: TraceSpan, clock: TraceClock) {
        self.tracer = tracer
        self.message = span
        self.clock = clock
    }

    /// Begins a span below the message or below one of its stages.
    func begin(_ kind: TraceSpan.Kind, below parent: TraceSpan?, _ attributes: [TraceSpan.Attribute]) -> TraceSpan {
        let parent = (parent ?? message).context
        return TraceSpan(kind, parent.child(using: &generator), parent: parent.span, start: clock.now, attributes: attributes)
    }

    func add(_ span: TraceSpan) {
        var span = span
        span.end = clock.now
        guard children.count < Self.maximumSpans else {
            omitted += 1
            return
        }
        children.append(span)
    }

    func set(_ attribute: TraceSpan.Attribute) { message.attributes.append(attribute) }

    /// Ends the message with the last event of its response.
    func end(_ event: UpstreamEvent.Content, correlationID: ULID?) {
        if case .failure(let reason, _, _) = event { return end(failure: reason.code, correlationID: correlationID) }
        end()
    }

    /// Ends the message. Further calls have no effect.
    func end(failure: ErrorCode? = nil, correlationID: ULID? = nil) {
        guard !isEnded else { return }
        isEnded = true
        if let failure {
            message.status = .failed(failure.rawValue)
            message.attributes.append(.init("error.type", failure.rawValue))
        }
        if let correlationID { message.attributes.append(.init("parley.correlation_id", "\(correlationID)")) }
        if omitted > 0 { message.attributes.append(.init("parley.omitted_spans", omitted)) }
        message.end = clock.now
        tracer.end(message, children: children)
    }

    /// Ends the message because it was cancelled.
    func cancel(_ reason: CancelReason) {
        set(.init("parley.cancelled", reason.rawValue))
        end()
    }
}

/// The spans of one request's stages and attempts; a sentence that is synthesized has its own.
struct RequestTrace {
    let message: MessageTrace
    /// Whether the request is that of the whole message, not of a sentence.
    let isWhole: Bool
    private var stage: TraceSpan?
    private var attempts: [(number: Int, span: TraceSpan)] = []

    init(message: MessageTrace, isWhole: Bool = true) {
        self.message = message
        self.isWhole = isWhole
    }

    mutating func beginStage(_ role: UpstreamRole, upstream: String) {
        endStage(failure: nil)
        stage = message.begin(.stage(isWhole ? role : .synthesize), below: nil, [.init("parley.upstream", upstream)])
    }

    /// Ends the message with the last event of its response.
    mutating func finish(_ content: borrowing UpstreamEvent.Content, correlationID: ULID?) {
        endStage(failure: nil)
        if isWhole { message.end(content, correlationID: correlationID) }
    }

    mutating func cancel(_ reason: CancelReason) {
        endStage(failure: nil)
        if isWhole { message.cancel(reason) }
    }

    /// - Parameter correlationID: that of the failure
    mutating func endStage(failure: ErrorCode?, correlationID: ULID? = nil) {
        guard var stage else { return }
        self.stage = nil
        if let failure {
            stage.status = .failed(failure.rawValue)
            stage.attributes.append(.init("error.type", failure.rawValue))
        }
        if let correlationID { stage.attributes.append(.init("parley.correlation_id", "\(correlationID)")) }
        for attempt in attempts { message.add(attempt.span) }
        attempts = []
        message.add(stage)
    }

    /// Begins an attempt.
    ///
    /// - Returns: the context that the upstream receives
    mutating func beginAttempt(_ number: Int, upstream: String, endpoint: String) -> TraceContext {
        let span = message.begin(
            .attempt, below: stage,
            [.init("parley.upstream", upstream), .init("parley.attempt", number), .init("server.address", endpoint)])
        attempts.append((number, span))
        return span.context
    }

    mutating func attemptFailed(_ number: Int, _ failure: borrowing CallFailure) {
        guard let index = attempts.firstIndex(where: { $0.number == number }) else { return }
        attempts[index].span.status = .failed(failure.code.rawValue)
        attempts[index].span.attributes.append(.init("error.type", failure.code.rawValue))
    }

    mutating func endAttempt(_ number: Int, cancelled reason: CancelReason? = nil, hasFailed: Bool = false) {
        guard let index = attempts.firstIndex(where: { $0.number == number }) else { return }
        var span = attempts.remove(at: index).span
        if let reason { span.attributes.append(.init("parley.cancelled", reason.rawValue)) }
        if hasFailed, !span.hasFailed { span.status = .failed(reason == .timeout ? ErrorCode.upstreamTimeout.rawValue : "failed") }
        message.add(span)
    }
}
