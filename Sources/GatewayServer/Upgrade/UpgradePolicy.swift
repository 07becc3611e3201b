package import GatewayCore
package import NIOHTTP1

/// Decides what becomes of a request for a WebSocket: a path of ours, an origin that may, credentials that are taken, room for one more.
package struct UpgradePolicy {
    package enum Purpose: Sendable {
        /// A new one, or one that exists.
        case session(ResumeRequest?)
        case echo
    }

    package struct Refusal: Error {
        package var status: HTTPResponseStatus
        package var reason: ErrorReason
        package var headers: HTTPHeaders = [:]
        package var retryAfter: Int?
        /// How an in-band refusal closes; nil when the client has to be told by HTTP.
        package var close: CloseCode?

        package init(
            _ status: HTTPResponseStatus, _ reason: ErrorReason, headers: HTTPHeaders = [:], retryAfter: Int? = nil,
            close: CloseCode? = nil
        ) {
            self.status = status
            self.reason = reason
            self.headers = headers
            self.retryAfter = retryAfter
            self.close = close
        }

        package init(_ failure: UpgradeFailure) {
            var headers: HTTPHeaders = [:]
            if failure.status == 426 {
                headers.add(name: "Sec-WebSocket-Version", value: UpgradeFailure.supportedVersion)
                headers.add(name: "Upgrade", value: "websocket")
            }
            if failure.status == 405 { headers.add(name: "Allow", value: "GET") }
            self.init(HTTPResponseStatus(statusCode: failure.status), failure.reason, headers: headers)
        }
    }

    /// Paths of the protocol.
    package static let sessionPaths: Set<String> = ["/v1/ws", "/ws"]
    package static let echoPath = "/echo"

    /// What a request is for, or why it is refused. Counts nothing yet.
    package static func purpose(of request: UpgradeRequest, settings: GatewaySettings) throws(Refusal) -> Purpose {
        if request.target.path == echoPath, settings.offersEcho { return .echo }
        if let origin = request.origin, !settings.allowedOrigins.contains("*"), !settings.allowedOrigins.contains(origin) {
            throw Refusal(.forbidden, .originNotAllowed, close: .unauthorized)
        }
        if request.target.hasCredential, !settings.acceptsQueryTokens {
            throw Refusal(
                .unauthorized, .credentialsInURL, headers: ["WWW-Authenticate": "Bearer"], close: .unauthorized)
        }
        guard let token = request.resume ?? request.target.resume else { return .session(nil) }
        var wanted = ResumeRequest(token: ResumeToken.hash(of: token))
        switch request.target.lastSequence {
        case .absent: break
        case .value(let number): wanted.last = number
        case .malformed: wanted.isMalformed = true
        }
        return .session(wanted)
    }

    /// Counts the connection in, or says why there is no room.
    package static func admit(_ purpose: Purpose, client: ClientAddress, loop: EventLoopState) throws(Refusal) {
        let shared = loop.shared
        guard !shared.isDraining else {
            throw Refusal(.serviceUnavailable, .draining, retryAfter: 1, close: .restart)
        }
        if case .session = purpose, shared.store?.takesWork == false {
            throw Refusal(
                .serviceUnavailable, .storeUnavailable, retryAfter: 5, close: .tryAgainLater)
        }
        switch shared.connectionLimits.admitWebSocket(of: client) {
        case nil: return
        case .connections:
            throw Refusal(
                .serviceUnavailable, .connectionLimit, retryAfter: 5, close: .tryAgainLater)
        case .address:
            throw Refusal(
                .tooManyRequests, .addressLimit, retryAfter: 5, close: .tryAgainLater)
        }
    }

    /// 90 % of `sessions.total_memory_budget` is reached, and none could be freed.
    package static let memoryShort = Refusal(
        .serviceUnavailable, .memoryExhausted, retryAfter: 5, close: .tryAgainLater)

    /// `sessions.max` or `sessions.max_detached` is reached.
    package static let sessionLimit = Refusal(
        .serviceUnavailable, .sessionLimit, retryAfter: 5, close: .tryAgainLater)
}
