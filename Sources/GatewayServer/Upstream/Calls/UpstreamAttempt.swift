package import GatewayCore

/// One attempt at one endpoint. Made, used and told of on one event loop.
///
/// It begins by itself. What comes of it goes to its ``AttemptReceiver``, at once or later, until it has ended or was cancelled.
package protocol UpstreamAttempt: AnyObject {
    /// A chunk of streamed audio. Only after ``AttemptReceiver/connected()``.
    func send(_ chunk: [UInt8])
    /// The streamed audio has ended.
    func endInput()
    /// The answer isn't wanted at the moment: to be left unread where that is possible.
    func pause()
    func resume()
    /// Ends it: the upstream is told within this turn of the event loop. Nothing is reported afterwards.
    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?)
}

extension UpstreamAttempt {
    /// A whole recording, for upstreams that hear audio as it comes.
    func sendRecording(of order: CallOrder) {
        guard case .recording(let format, let recording) = order.input else { return }
        AnswerStream.cut(recording, format: format) { send($0) }
        endInput()
    }
}

/// Who has made an attempt.
package protocol AttemptReceiver: AnyObject {
    /// There is a connection, which will take the request. Left out where ``connected()`` follows at once.
    func opened()
    /// There is a connection, and the request is on its way.
    func connected()
    /// So many bytes of the answer have come, whatever they are.
    func heard(_ bytes: Int)
    func received(_ content: consuming UpstreamEvent.Content)
    /// The answer's last content: complete with it. Last.
    func received(last content: consuming UpstreamEvent.Content, summary: AnswerSummary)
    /// So many bytes of streamed audio are on their way.
    func took(_ bytes: Int)
    /// Last.
    func failed(_ failure: CallFailure)
}

extension AttemptReceiver {
    package func opened() {}
}

/// Makes attempts at the endpoints of one upstream, on one event loop.
package protocol AttemptMaker: AnyObject {
    /// - Parameter receiver: kept until the attempt has ended
    func makeAttempt(_ order: CallOrder, endpoint: Int, receiver: any AttemptReceiver) -> any UpstreamAttempt
}
