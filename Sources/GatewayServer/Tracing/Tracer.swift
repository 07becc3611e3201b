// SPDX-License-Identifier: Apache-2.0

import CLinux
package import GatewayCore
import Glibc
import Synchronization

/// Creates traces and keeps the spans that are to be exported. Shared by all event loops; nil where tracing is off.
///
/// Spans are values that belong to their request or connection until it ends. Only then the lock of the queue is acquired, once.
package final class Tracer: Sendable {
    private let policy: Mutex<TracePolicy>
    private let queue: Mutex<SpanQueue>
    private let exported = Atomic<UInt64>(0)

    package init(policy: TracePolicy, capacity: Int) {
        self.policy = Mutex(policy)
        queue = Mutex(SpanQueue(capacity: capacity))
    }

    package func apply(_ policy: TracePolicy) { self.policy.withLock { $0 = policy } }

    /// Spans that were received by the OTLP receiver, and those that were dropped.
    package var statistics: (exported: UInt64, dropped: UInt64) {
        (exported.load(ordering: .relaxed), queue.withLock { $0.dropped })
    }

    // MARK: Traces

    /// Begins the span of a connection.
    ///
    /// - Parameter parent: the client's `traceparent`; nil without a valid one
    package func beginConnection(parent: TraceContext?) -> ConnectionTrace {
        var generator = SystemRandomNumberGenerator()
        guard let parent else {
            var context = TraceContext(using: &generator)
            context.isSampled = samples(context)
            return ConnectionTrace(origin: TraceOrigin(connection: context, joinsClient: false), parent: nil, start: TraceClock())
        }
        let context = parent.child(using: &generator)
        return ConnectionTrace(origin: TraceOrigin(connection: context, joinsClient: true), parent: parent.span, start: TraceClock())
    }

    /// Begins the trace of a message.
    ///
    /// Its parent is the `traceparent` in the message's `meta`, else that of the connection. Otherwise the message begins a trace.
    func beginMessage(_ request: borrowing UpstreamRequest, session: ULID) -> MessageTrace {
        var generator = SystemRandomNumberGenerator()
        let origin = request.origin
        let context: TraceContext
        var parent: UInt64?
        if let given = request.meta("traceparent").flatMap({ TraceContext(traceparent: $0) }) {
            context = given.child(using: &generator)
            parent = given.span
        } else if let origin, origin.joinsClient {
            context = origin.connection.child(using: &generator)
            parent = origin.connection.span
        } else {
            var new = TraceContext(using: &generator)
            new.isSampled = samples(new)
            context = new
        }
        let clock = TraceClock()
        var span = TraceSpan(.message, context, parent: parent, start: clock.now)
        span.attributes = [
            .init("parley.session_id", "\(session)"), .init("parley.message_id", "\(request.id)"),
            .init("parley.type", request.isText ? "text" : "audio"),
        ]
        if !request.route.isEmpty { span.attributes.append(.init("parley.route", request.route)) }
        if let origin, origin.connection.high != context.high || origin.connection.low != context.low { span.link = origin.connection }
        return MessageTrace(tracer: self, span: span, clock: clock)
    }

    private func samples(_ context: TraceContext) -> Bool { policy.withLock { $0.samples(context) } }

    /// Keeps the spans of a message that has ended, or drops them.
    func end(_ message: TraceSpan, children: [TraceSpan]) {
        guard policy.withLock({ $0.keeps(message) }) else { return }
        queue.withLock { _ = $0.append([message] + children) }
    }

    /// Keeps the span of a connection that has closed if its trace is sampled, or if the connection failed and failed messages are kept.
    func end(_ connection: TraceSpan) {
        guard connection.context.isSampled || (connection.hasFailed && policy.withLock { $0.keepsFailed }) else { return }
        queue.withLock { _ = $0.append([connection]) }
    }

    /// Ends the span of a WebSocket connection that has closed.
    func end(_ connection: Connection) {
        guard let trace = connection.trace else { return }
        connection.trace = nil
        var attributes: [TraceSpan.Attribute] = [
            .init("parley.connection_id", "\(connection.id)"), .init("url.path", connection.path),
            .init("parley.close_code", connection.closeCode ?? 1006), .init("parley.messages_in", connection.messagesIn),
            .init("parley.messages_out", connection.messagesOut),
        ]
        if let session = connection.sessionID { attributes.append(.init("parley.session_id", "\(session)")) }
        end(trace.ended(attributes, failure: Self.failures.contains(connection.closeCode ?? 0) ? connection.closeReason : nil))
    }

    /// The close codes of connections that the gateway, the network or a slow client has failed.
    private static let failures: Set<UInt16> = [
        CloseCode.internal.rawValue, CloseCode.heartbeatTimeout.rawValue, CloseCode.slowConsumer.rawValue, CloseCode.memoryLimit.rawValue,
    ]

    // MARK: Export

    package func take(_ limit: Int) -> [TraceSpan] { queue.withLock { $0.take(limit) } }

    package func finish(_ count: Int, lost: Bool) {
        queue.withLock { $0.finish(lost: lost) }
        if !lost { exported.add(UInt64(count), ordering: .relaxed) }
    }
}

/// A clock for spans: wall time that advances with the monotonic clock, so that a span can't end before it begins.
struct TraceClock: Sendable {
    private let wall: UInt64
    private let monotonic: UInt64

    init() {
        wall = Self.read(CLOCK_REALTIME)
        monotonic = Self.read(CLOCK_MONOTONIC)
    }

    /// Unix nanoseconds.
    var now: UInt64 { wall &+ (Self.read(CLOCK_MONOTONIC) &- monotonic) }

    private static func read(_ clock: clockid_t) -> UInt64 {
        UInt64(truncatingIfNeeded: parley_clock_nanoseconds(clock))
    }
}

/// The open span of a connection.
package struct ConnectionTrace: Sendable {
    package let origin: TraceOrigin
    let parent: UInt64?
    let start: TraceClock
    private let began: UInt64

    init(origin: TraceOrigin, parent: UInt64?, start: TraceClock) {
        self.origin = origin
        self.parent = parent
        self.start = start
        began = start.now
    }

    /// - Parameter failure: the close code if the gateway or the network is at fault
    func ended(_ attributes: [TraceSpan.Attribute], failure: String?) -> TraceSpan {
        TraceSpan(
            .connection, origin.connection, parent: parent, start: began, end: start.now, attributes: attributes,
            status: failure.map { .failed($0) } ?? .unset)
    }
}
