// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The receiver of request events, for example a session or its link.
package protocol UpstreamEventSink: AnyObject {
    /// Receives an event of a request.
    ///
    /// - Returns: false to pause the sender until it is resumed
    @discardableResult
    func deliver(_ event: consuming UpstreamEvent) -> Bool

    /// This many bytes of the client's text or audio were written to an upstream or are no longer needed.
    func consumed(_ bytes: Int)

    /// A request was routed to the upstreams of this tariff. Called before any event of the request.
    func routed(_ request: RequestKey, to tariff: RouteTariff)

    /// The client has played at most this many bytes of the text of a spoken response.
    func played(_ bytes: Int, of request: RequestKey)
}

extension UpstreamEventSink {
    package func consumed(_ bytes: Int) {}
    package func routed(_ request: RequestKey, to tariff: RouteTariff) {}
    package func played(_ bytes: Int, of request: RequestKey) {}
}

/// The history of a session, for requests to models.
package protocol ConversationSource: AnyObject {
    /// Returns the conversation before a request, the oldest line first, limited to this many lines and bytes.
    func conversation(before request: RequestKey, lines: Int, bytes: Int) -> [ConversationLine]
}
