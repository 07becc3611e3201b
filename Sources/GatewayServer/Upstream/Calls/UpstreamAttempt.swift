// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// One attempt of a request at one endpoint, confined to one event loop.
///
/// The attempt begins when it is made. It reports events to its ``AttemptReporter``, immediately or later, until it ends or is cancelled.
package protocol UpstreamAttempt: AnyObject {
    /// Sends a chunk of streamed audio. To be called only after ``AttemptReporter/requestSent()``.
    func send(_ chunk: [UInt8])
    /// Ends the streamed audio.
    func endInput()
    /// Stops reading the response where the transport allows that.
    func pause()
    func resume()
    /// Cancels the attempt and notifies the upstream synchronously. Nothing is reported afterwards.
    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?)
}

extension UpstreamAttempt {
    /// Sends a complete recording as a stream of chunks, for upstreams that receive streamed audio.
    func sendRecording(of request: borrowing UpstreamRequest) {
        guard case .recording(let format, let recording) = request.input else { return }
        ResponseStream.cut(recording, format: format) { send($0) }
        endInput()
    }
}

/// The owner of numbered attempts.
package protocol AttemptReceiver: AnyObject {
    /// A connection is open; the request isn't written yet. Not reported where ``requestSent(attempt:)`` follows immediately.
    func opened(attempt: Int)
    /// The request was written to an open connection.
    func requestSent(attempt: Int)
    /// This many bytes of the response were read, whatever they contain.
    func read(_ bytes: Int, attempt: Int)
    func received(_ content: consuming UpstreamEvent.Content, attempt: Int)
    /// The response is complete with this content. No event follows.
    func received(last content: consuming UpstreamEvent.Content, summary: ResponseSummary, attempt: Int)
    /// This many bytes of streamed audio were written to the upstream.
    func consumed(_ bytes: Int, attempt: Int)
    /// The attempt has failed. No event follows.
    func failed(_ failure: CallFailure, attempt: Int)
}

/// Reports the events of one attempt to its ``AttemptReceiver``.
package struct AttemptReporter {
    private let receiver: any AttemptReceiver
    private let attempt: Int

    package init(receiver: any AttemptReceiver, attempt: Int) {
        self.receiver = receiver
        self.attempt = attempt
    }

    package func opened() { receiver.opened(attempt: attempt) }
    package func requestSent() { receiver.requestSent(attempt: attempt) }
    package func read(_ bytes: Int) { receiver.read(bytes, attempt: attempt) }
    package func received(_ content: consuming UpstreamEvent.Content) { receiver.received(content, attempt: attempt) }
    package func received(last content: consuming UpstreamEvent.Content, summary: ResponseSummary) {
        receiver.received(last: content, summary: summary, attempt: attempt)
    }
    package func consumed(_ bytes: Int) { receiver.consumed(bytes, attempt: attempt) }
    package func failed(_ failure: CallFailure) { receiver.failed(failure, attempt: attempt) }
}
