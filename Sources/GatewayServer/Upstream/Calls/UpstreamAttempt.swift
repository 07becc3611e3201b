package import GatewayCore

/// One attempt at one endpoint. Made, used and reported on one event loop.
///
/// It begins by itself. Its events go to its ``AttemptReporter``, at once or later, until it has ended or was cancelled.
package protocol UpstreamAttempt: AnyObject {
    /// Sends a chunk of streamed audio. Only after ``AttemptReporter/connected()``.
    func send(_ chunk: [UInt8])
    /// The streamed audio has ended.
    func endInput()
    /// The response isn't wanted at the moment: it is left unread where that is possible.
    func pause()
    func resume()
    /// Ends it: the upstream is told before the event loop does anything else. Nothing is reported afterwards.
    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?)
}

extension UpstreamAttempt {
    /// Sends a whole recording, to upstreams that take audio as it comes.
    func sendRecording(of request: borrowing UpstreamRequest) {
        guard case .recording(let format, let recording) = request.input else { return }
        AnswerStream.cut(recording, format: format) { send($0) }
        endInput()
    }
}

/// The owner of attempts, which are numbered.
package protocol AttemptReceiver: AnyObject {
    /// There is a connection, which will take the request. Left out where ``connected(attempt:)`` follows at once.
    func opened(attempt: Int)
    /// There is a connection, and the request is on its way.
    func connected(attempt: Int)
    /// So many bytes of the response were read, whatever they contain.
    func read(_ bytes: Int, attempt: Int)
    func received(_ content: consuming UpstreamEvent.Content, attempt: Int)
    /// The last content of the response: complete with it. Last.
    func received(last content: consuming UpstreamEvent.Content, summary: AnswerSummary, attempt: Int)
    /// So many bytes of streamed audio are on their way.
    func consumed(_ bytes: Int, attempt: Int)
    /// Last.
    func failed(_ failure: CallFailure, attempt: Int)
}

/// Reports the events of one attempt: see ``AttemptReceiver``.
package struct AttemptReporter {
    private let receiver: any AttemptReceiver
    private let attempt: Int

    package init(receiver: any AttemptReceiver, attempt: Int) {
        self.receiver = receiver
        self.attempt = attempt
    }

    package func opened() { receiver.opened(attempt: attempt) }
    package func connected() { receiver.connected(attempt: attempt) }
    package func read(_ bytes: Int) { receiver.read(bytes, attempt: attempt) }
    package func received(_ content: consuming UpstreamEvent.Content) { receiver.received(content, attempt: attempt) }
    package func received(last content: consuming UpstreamEvent.Content, summary: AnswerSummary) {
        receiver.received(last: content, summary: summary, attempt: attempt)
    }
    package func consumed(_ bytes: Int) { receiver.consumed(bytes, attempt: attempt) }
    package func failed(_ failure: CallFailure) { receiver.failed(failure, attempt: attempt) }
}
