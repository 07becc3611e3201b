// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import Synchronization

/// The upstream calls of a session that moves between nodes.
extension SessionDriver {
    /// Leaves the session's link to a proxy, which connects it to the session's new node. To be called after ``finishOnLoop()``.
    ///
    /// - Returns: false if there is no request in flight; the link is then closed, and the stream isn't needed
    @discardableResult
    func leaveLink(over stream: NodeStream) -> Bool {
        guard let link, !session.inFlight.isEmpty else {
            closeLink()
            return false
        }
        let shared = loop.shared
        shared.callsOfOthers.add(1, ordering: .relaxed)
        LinkProxy(of: link, over: stream, tariffs: session.requestTariffs, on: loop.eventLoop) {
            shared.callsOfOthers.subtract(1, ordering: .relaxed)
        }
        self.link = nil
        demanded = 0
        return true
    }

    /// Connects the session to its calls on the node that it comes from. New requests start on this node.
    ///
    /// - Parameter keys: the requests in flight whose calls stay there
    func continueLink(over stream: NodeStream, keys: [RequestKey]) {
        closeLink()
        let remote = RemoteLink(
            over: stream, keys: keys, unconsumed: session.upstreamQueueBytes, session: self, on: loop.eventLoop)
        link = ContinuedLink(remote: remote, local: loop.upstreams.makeLink(for: self, id: session.id))
        isLinkRemote = true
        scheduleDemand()
    }
}
