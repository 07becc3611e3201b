// SPDX-License-Identifier: Apache-2.0

/// A command of a session to its upstream.
package enum UpstreamCommand: Sendable {
    case start(UpstreamRequest)
    /// A chunk: a range of ``Effects/audio``.
    case audio(RequestKey, chunk: Range<Int>)
    case audioEnd(RequestKey)
    /// Cancel the request.
    case cancel(RequestKey, playedMilliseconds: Int64?)
    /// The client's state, for upstreams that handle turn-taking.
    case clientState(ClientMessage.Status.State, replyTo: MessageID?, playedMilliseconds: Int64?)
}
