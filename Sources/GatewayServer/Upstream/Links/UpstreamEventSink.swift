package import GatewayCore

/// The receiver of what comes of requests: a session, its link, or a request that has another one work for it.
package protocol UpstreamEventSink: AnyObject {
    /// Takes an event of a request.
    ///
    /// - Returns: whether more may follow; false asks for a pause until the sender is resumed
    @discardableResult
    func deliver(_ event: consuming UpstreamEvent) -> Bool

    /// So many bytes of the client's text or audio are on their way to an upstream, or aren't needed any more.
    func consumed(_ bytes: Int)

    /// The client has played no more than so many bytes of the text of a spoken response.
    func played(_ bytes: Int, of request: RequestKey)
}

extension UpstreamEventSink {
    package func consumed(_ bytes: Int) {}
    package func played(_ bytes: Int, of request: RequestKey) {}
}

/// The history of a session, as requests are sent it.
package protocol ConversationSource: AnyObject {
    /// The conversation before a request, the oldest line first: at most so many lines and bytes.
    func conversation(before request: RequestKey, lines: Int, bytes: Int) -> [ConversationLine]
}
