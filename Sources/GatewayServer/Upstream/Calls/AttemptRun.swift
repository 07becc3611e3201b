import GatewayCore

/// An attempt of a call, and its claim on an endpoint. Passes on what it says for as long as it counts.
final class AttemptRun: AttemptReceiver {
    private let call: UpstreamCall
    let claim: EndpointSet.Claim
    var attempt: (any UpstreamAttempt)?
    private(set) var isOpen = false
    private(set) var isConnected = false
    /// Bytes of the answer that were read, also those that carry nothing.
    private(set) var readBytes = 0
    var isOver = false

    init(_ call: UpstreamCall, claim: EndpointSet.Claim) {
        self.call = call
        self.claim = claim
    }

    func opened() {
        guard !isOver, !isOpen else { return }
        isOpen = true
        call.opened(self)
    }

    func connected() {
        opened()
        guard !isOver, !isConnected else { return }
        isConnected = true
        call.connected(self)
    }

    func heard(_ bytes: Int) {
        guard !isOver else { return }
        let (sum, overflow) = readBytes.addingReportingOverflow(bytes)
        readBytes = overflow ? .max : sum
        call.heard(self)
    }

    func received(_ content: consuming UpstreamEvent.Content) { if !isOver { call.received(content, from: self) } }

    func received(last content: consuming UpstreamEvent.Content, summary: AnswerSummary) {
        if !isOver { call.received(last: content, summary: summary, from: self) }
    }

    func took(_ bytes: Int) { if !isOver { call.took(bytes) } }

    func failed(_ failure: CallFailure) {
        guard !isOver else { return }
        attempt = nil
        call.failed(self, failure)
    }
}
