// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import NIOHTTP1

/// Admits or rejects a WebSocket upgrade by path, origin, credentials and limits.
package struct UpgradePolicy {
    package enum Purpose: Sendable {
        /// A new session (nil) or a session to resume.
        case session(ResumeRequest?)
        case echo
    }

    package struct Rejection: Error {
        package var status: HTTPResponseStatus
        package var reason: ErrorReason
        package var headers: HTTPHeaders = [:]
        package var retryAfter: Int?
        /// The close code of an in-band rejection; nil when the rejection must be sent by HTTP.
        package var close: CloseCode?
        /// More about the reason, for the log only. Never contains anything that the client sent.
        package var cause: String?
        /// The fault of a rejected token.
        package var fault: TokenFault?

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

    /// The built-in paths for sessions; routes may have others.
    package static let sessionPaths: Set<String> = ["/v1/ws", "/ws"]
    package static let echoPath = "/echo"

    /// Returns the purpose of a request without counting it against limits.
    package static func purpose(of request: UpgradeRequest, settings: GatewaySettings) throws(Rejection) -> Purpose {
        if request.target.path == echoPath, settings.offersEcho { return .echo }
        if let origin = request.origin, !settings.allowedOrigins.contains("*"), !settings.allowedOrigins.contains(origin) {
            throw Rejection(.forbidden, .originNotAllowed, close: .unauthorized)
        }
        if request.target.hasCredential, !settings.acceptsQueryTokens {
            throw Rejection(
                .unauthorized, .credentialsInURL, headers: ["WWW-Authenticate": "Bearer"], close: .unauthorized)
        }
        guard let token = request.resume ?? request.target.resume else { return .session(nil) }
        var resumeRequest = ResumeRequest(token: ResumeToken.hash(of: token))
        switch request.target.lastSequence {
        case .absent: break
        case .value(let number): resumeRequest.last = number
        case .malformed: resumeRequest.isMalformed = true
        }
        return .session(resumeRequest)
    }

    /// Throws if the gateway is draining or can't store sessions.
    package static func checkAvailability(_ purpose: Purpose, loop: EventLoopState) throws(Rejection) {
        let shared = loop.shared
        guard !shared.rejectsUpgrades else {
            throw Rejection(.serviceUnavailable, .draining, retryAfter: 1, close: .restart)
        }
        if case .session = purpose, !shared.acceptsWork {
            throw storeUnavailable
        }
    }

    /// Counts the connection as a WebSocket, or throws if a limit is reached.
    package static func admit(_ client: ClientAddress, loop: EventLoopState) throws(Rejection) {
        switch loop.shared.connectionLimits.admitWebSocket(of: client) {
        case nil: return
        case .connections:
            throw Rejection(
                .serviceUnavailable, .connectionLimit, retryAfter: 5, close: .tryAgainLater)
        case .address:
            throw Rejection(
                .tooManyRequests, .addressLimit, retryAfter: 5, close: .tryAgainLater)
        }
    }

    /// The rejection of a client that a proxy connects without TLS, outside of development.
    package static let unencrypted = Rejection(.forbidden, .tlsRequired, close: .unauthorized)

    /// The rejection at 90 % of `sessions.total_memory_budget` when no memory could be reclaimed.
    package static let insufficientMemory = Rejection(
        .serviceUnavailable, .memoryExhausted, retryAfter: 5, close: .tryAgainLater)

    /// The rejection while the store can't commit, or the session's node can't be reached.
    package static let storeUnavailable = Rejection(
        .serviceUnavailable, .storeUnavailable, retryAfter: 5, close: .tryAgainLater)

    /// The rejection at `sessions.max` or `sessions.max_detached`.
    package static let sessionLimit = Rejection(
        .serviceUnavailable, .sessionLimit, retryAfter: 5, close: .tryAgainLater)
}
