/// What a session tells its upstream.
package enum UpstreamCommand: Sendable {
    case start(UpstreamRequest)
    /// A chunk: a range of ``Effects/audio``.
    case audio(RequestKey, chunk: Range<Int>)
    case audioEnd(RequestKey)
    /// Stop at once: nothing more is wanted of this request.
    case cancel(RequestKey, playedMilliseconds: Int64?)
    /// The client's state, for upstreams that care for turn-taking.
    case clientState(ClientMessage.Status.State, replyTo: MessageID?, playedMilliseconds: Int64?)
}
