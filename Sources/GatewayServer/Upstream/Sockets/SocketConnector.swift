// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import NIOHTTP1
import ParleyClient

/// Opens WebSockets to the endpoints of one upstream, on one event loop.
struct SocketConnector {
    let connector: UpstreamConnector
    let options: ClientWebSocketOptions
    let maxMessageBytes: Int

    /// Opens a WebSocket to an endpoint.
    ///
    /// - Parameters:
    ///   - opened: called with the socket before ``SocketOwner/socketOpened()``
    ///   - failed: called instead when the connection or the upgrade fails
    func connect(
        endpoint: Int, owner: any SocketOwner, opened: @escaping (UpstreamSocketHandler) -> Void,
        failed: @escaping (CallFailure) -> Void
    ) -> ConnectAttempt {
        typealias Upgrade = ClientUpgradeHandler<UpstreamSocketHandler>
        var attempt: ConnectAttempt?
        let made = connector.connect(endpoint: endpoint) {
            let promise = connector.eventLoop.makePromise(of: NIOLoopBound<Upgrade.Opened>.self)
            promise.futureResult.assumeIsolated().whenFailure { error in
                if attempt?.isCancelled != true { failed(Self.failure(error)) }
            }
            let encoder = HTTPRequestEncoder()
            let decoder = ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .forwardBytes))
            let upgrade = Upgrade(
                ClientHandshake(connector.urls[endpoint].location, options: options), isSecure: connector.contexts[endpoint] != nil,
                http: [encoder, decoder], deadline: .now() + connector.timeout, opened: promise,
                makeSocket: { _ in
                    let socket = UpstreamSocketHandler(owner: owner, maxMessageBytes: maxMessageBytes)
                    opened(socket)
                    return socket
                })
            return [encoder, decoder, upgrade]
        } failed: {
            failed($0)
        }
        attempt = made
        return made
    }

    private static func failure(_ error: any Error) -> CallFailure {
        switch error as? ClientWebSocketError {
        case .timedOut: return .timeout(.connecting)
        case .rejected(let rejection):
            var failure = CallFailure.status(Int(rejection.status), retryAfter: nil)
            failure.mayHaveBeenProcessed = false
            // An endpoint that rejects the upgrade is unusable, so this counts for the breaker.
            failure.outcome = .failure
            return failure
        case .some(let error): return .unreachable("\(error)")
        case nil: return .unreachable(ConnectionErrorText.text(error))
        }
    }
}
