import GatewayCore
import NIOCore

/// The loopback as one upstream among others, for routes that name it.
final class LoopbackService: UpstreamService {
    func makeMaker(on loop: CallLoop) -> any ServiceLoop { LoopbackMaker() }
    func run() async {}
    func retire() async {}
}

private final class LoopbackMaker: ServiceLoop {
    func makeAttempt(_ order: CallOrder, endpoint: Int, receiver: any AttemptReceiver) -> any UpstreamAttempt {
        LoopbackAttempt(order, receiver: receiver)
    }
}

private final class LoopbackAttempt: UpstreamAttempt, UpstreamReceiver {
    private let receiver: any AttemptReceiver
    private var link: LoopbackLink?
    private var isOver = false
    private static let key = RequestKey(number: 1)
    /// As much as it likes, unless it is held back.
    private static let plenty = 1 << 30

    init(_ order: CallOrder, receiver: any AttemptReceiver) {
        self.receiver = receiver
        let input: UpstreamRequest.Input =
            switch order.input {
            case .text(let text): .text(text)
            case .recording(let format, _), .stream(let format): .audio(format)
            }
        let link = LoopbackLink(receiver: self)
        self.link = link
        receiver.connected()
        link.demand(Self.plenty)
        let request = UpstreamRequest(
            key: Self.key, id: order.id, input: input, lang: order.lang, stream: order.stream, output: order.output, meta: order.meta)
        link.send(.start(request), audio: [])
    }

    func send(_ chunk: [UInt8]) { link?.send(.audio(Self.key, chunk: 0..<chunk.count), audio: chunk) }

    func endInput() { link?.send(.audioEnd(Self.key), audio: []) }

    func pause() { _ = link?.withdraw() }

    func resume() { link?.demand(Self.plenty) }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        isOver = true
        link?.close()
        link = nil
    }

    func receive(_ event: consuming UpstreamEvent) {
        guard !isOver else { return }
        guard event.isLast else { return receiver.received(event.content) }
        isOver = true
        receiver.received(last: event.content, summary: AnswerSummary())
        link?.close()
        link = nil
    }

    func took(_ bytes: Int) { if !isOver { receiver.took(bytes) } }
}
