import GatewayCore

/// One request on a shared connection.
final class MultiplexAttempt: UpstreamAttempt {
    let order: CallOrder
    private let receiver: any AttemptReceiver
    var number: UInt64 = 0
    weak var connection: MultiplexConnection?
    private var stream = AnswerStream()
    private var isOver = false
    private var isPaused = false
    private var waiting: [[UInt8]] = []
    private var hasInputEnded = false
    private var hasSentEnd = false

    init(_ order: CallOrder, receiver: any AttemptReceiver) {
        self.order = order
        self.receiver = receiver
    }

    func opened() {
        guard !isOver else { return }
        receiver.connected()
        if !isOver { sendRecording(of: order) }
    }

    func send(_ chunk: [UInt8]) {
        guard !isOver, !hasInputEnded else { return }
        waiting.append(chunk)
        writeWaiting()
    }

    func endInput() {
        guard !isOver, !hasInputEnded else { return }
        hasInputEnded = true
        writeWaiting()
    }

    func writeWaiting() {
        guard !isOver, let connection, order.isStreamed || order.isRecording else { return }
        while connection.isWritable, !waiting.isEmpty {
            let chunk = waiting.removeFirst()
            connection.write(chunk, of: number)
            if order.isStreamed { receiver.took(chunk.count) }
        }
        guard hasInputEnded, waiting.isEmpty, !hasSentEnd else { return }
        hasSentEnd = true
        write("audio", ",\"final\":true")
    }

    func pause() {
        guard !isOver, !isPaused else { return }
        isPaused = true
        write("pause")
    }

    func resume() {
        guard !isOver, isPaused else { return }
        isPaused = false
        write("resume")
    }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        guard !isOver else { return }
        var fields = ",\"reason\":\"\(reason.rawValue)\""
        if let playedMilliseconds { fields += ",\"played_ms\":\(playedMilliseconds)" }
        write("cancel", fields)
        leave()
    }

    private func write(_ type: String, _ fields: String = "") {
        connection?.write(Array("{\"type\":\"\(type)\",\"request\":\(number)\(fields)}".utf8))
    }

    private func leave() {
        isOver = true
        waiting = []
        connection?.remove(number)
        connection = nil
    }

    // MARK: From the connection

    func take(_ message: consuming AnswerMessage) {
        guard !isOver else { return }
        receiver.heard()
        do throws(AnswerFault) {
            if case .chunk = message.body { throw AnswerFault("audio comes in binary messages here") }
            try stream.take(message, pass)
        } catch {
            fault(CallFailure(error))
        }
    }

    func take(chunk: [UInt8]) {
        guard !isOver else { return }
        receiver.heard()
        do throws(AnswerFault) {
            pass(.event(try stream.take(chunk: chunk)))
        } catch {
            fault(CallFailure(error))
        }
    }

    private func pass(_ step: AnswerStream.Step) {
        guard !isOver else { return }
        switch step {
        case .event(let content): receiver.received(content)
        case .last(let content, let summary):
            leave()
            receiver.received(last: content, summary: summary)
        case .failed(let retryable, let retryAfter): fail(.reported(retryable: retryable, retryAfter: retryAfter))
        case .chunk: break
        }
    }

    /// It breaks the protocol: the upstream is told that nobody listens any more.
    func fault(_ failure: CallFailure) {
        guard !isOver else { return }
        write("cancel", ",\"reason\":\"fault\"")
        fail(failure)
    }

    func fail(_ failure: CallFailure) {
        guard !isOver else { return }
        leave()
        receiver.failed(failure)
    }
}
