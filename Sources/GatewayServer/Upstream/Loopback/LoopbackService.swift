// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

/// An upstream of kind `loopback`, for routes that name it.
final class LoopbackService: UpstreamService {
    func makeTransport(on loop: CallContext) -> any UpstreamTransport { LoopbackTransport() }
    func run() async {}
    func retire() async {}
}

private final class LoopbackTransport: UpstreamTransport {
    func makeAttempt(_ request: borrowing UpstreamRequest, endpoint: Int, reporter: AttemptReporter) -> any UpstreamAttempt {
        LoopbackAttempt(copy request, reporter: reporter)
    }
}

private final class LoopbackAttempt: UpstreamAttempt, UpstreamEventSink, ConversationSource {
    private let reporter: AttemptReporter
    private var link: LoopbackLink?
    private var isEnded = false
    private static let key = RequestKey(number: 1)
    /// Practically unlimited demand, for an attempt that isn't paused.
    private static let unlimited = 1 << 30

    init(_ request: consuming UpstreamRequest, reporter: AttemptReporter) {
        self.reporter = reporter
        let whole = request
        // The loopback accepts streamed audio only.
        if case .recording(let format, _) = request.input { request.input = .audio(format) }
        request.key = Self.key
        let link = LoopbackLink(session: self)
        self.link = link
        reporter.requestSent()
        link.demand(Self.unlimited)
        link.send(.start(request), audio: [])
        sendRecording(of: whole)
    }

    func send(_ chunk: [UInt8]) { link?.send(.audio(Self.key, chunk: 0..<chunk.count), audio: chunk) }

    func endInput() { link?.send(.audioEnd(Self.key), audio: []) }

    func pause() { _ = link?.withdraw() }

    func resume() { link?.demand(Self.unlimited) }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        isEnded = true
        link?.close()
        link = nil
    }

    func deliver(_ event: consuming UpstreamEvent) -> Bool {
        guard !isEnded else { return true }
        guard event.isLast else {
            reporter.received(event.content)
            return true
        }
        isEnded = true
        reporter.received(last: event.content, summary: ResponseSummary())
        link?.close()
        link = nil
        return true
    }

    func consumed(_ bytes: Int) { if !isEnded { reporter.consumed(bytes) } }

    func conversation(before request: RequestKey, lines: Int, bytes: Int) -> [ConversationLine] { [] }
}
