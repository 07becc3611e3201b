// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import NIOCore
import NIOHTTP1

/// Authentication and authorization of upgrades.
extension UpgradePolicy {
    enum Authentication {
        /// The grant of the client; nil without authentication.
        case granted(Grant?)
        /// The token's key may be known after the keys were fetched again.
        case unknownKey
    }

    /// Authenticates a client by its certificate or token.
    ///
    /// - Parameter isFinal: whether a token with an unknown key is rejected
    static func authenticate(
        _ request: UpgradeRequest, resuming resume: ResumeRequest?, connection: Connection, loop: EventLoopState, isFinal: Bool
    ) throws(Rejection) -> Authentication {
        switch loop.shared.access.mode {
        case .none: return .granted(nil)
        case .mtls:
            guard let name = connection.certificateName else {
                throw Rejection(.unauthorized, .missingCertificateName, close: .unauthorized)
            }
            return .granted(Grant(user: name, expiresAt: .max))
        case .jwt: break
        }
        guard let token = request.bearer ?? request.target.bearer else {
            throw Rejection(.unauthorized, .credentialsMissing, headers: ["WWW-Authenticate": "Bearer"], close: .unauthorized)
        }
        if request.bearer != nil, let other = request.target.bearer, other != token {
            throw Rejection(UpgradeFailure.conflictingCredentials)
        }
        let limits = loop.shared.connectionLimits
        // Clients behind a shared address keep their sessions, whatever a neighbor presents.
        if let wait = limits.tokenWait(of: connection.client, now: loop.sharedNow), !isKnown(resume, loop: loop) {
            let seconds = max(1, (wait.milliseconds + 999) / 1000)
            throw Rejection(.tooManyRequests, .tokenFailures, retryAfter: Int(seconds), close: .tryAgainLater)
        }
        switch loop.shared.access.verify(token, LoopClock.wallMilliseconds()) {
        case .granted(let grant): return .granted(grant)
        case .unknownKey where !isFinal: return .unknownKey
        case .unknownKey: throw rejection(of: .unknownKey, connection: connection, loop: loop)
        case .rejected(let fault): throw rejection(of: fault, connection: connection, loop: loop)
        }
    }

    private static func isKnown(_ resume: ResumeRequest?, loop: EventLoopState) -> Bool {
        guard let token = resume?.token, case .session = loop.shared.sessions.find(token) else { return false }
        return true
    }

    /// Counts a rejected token against its address, and returns the rejection of the upgrade.
    private static func rejection(of fault: TokenFault, connection: Connection, loop: EventLoopState) -> Rejection {
        loop.shared.connectionLimits.tokenFailed(of: connection.client, now: loop.sharedNow)
        return Rejection(fault)
    }

    /// Counts an authenticated connection against the limit of its user, or throws if the grant doesn't allow the path or the limit is
    /// reached. Sets ``Connection/grant``.
    static func authorize(
        _ grant: Grant, resuming resume: ResumeRequest?, connection: Connection, sessions: LocalSessionTable
    ) throws(Rejection) {
        guard grant.parley.allows(path: connection.path) else { throw Rejection(.forbidden, .pathForbidden, close: .unauthorized) }
        let shared = sessions.loop.shared
        var session: ULID?
        if let token = resume?.token, case .session(let id, _) = shared.sessions.find(token) { session = id }
        let bound = NIOLoopBound((sessions, connection), eventLoop: sessions.loop.eventLoop)
        let isAdmitted = shared.access.users.admit(connection.id, of: grant.user, resuming: session, issuedAt: grant.issuedAt) { reason in
            bound.eventLoop.execute {
                let (sessions, connection) = bound.value
                sessions.close(connection, because: reason)
            }
        }
        guard isAdmitted else { throw userLimit }
        connection.grant = grant
    }

    /// The rejection at `connections.per_user`.
    static let userLimit = Rejection(.tooManyRequests, .userLimit, retryAfter: 5, close: .tryAgainLater)

    /// Throws unless a use of the connection's token was spent for a new session.
    static func check(_ spending: AccessControl.Spending, of connection: Connection, loop: EventLoopState) throws(Rejection) {
        switch spending {
        case .spent: return
        case .exhausted: throw rejection(of: .used, connection: connection, loop: loop)
        case .unavailable: throw storeUnavailable
        }
    }
}

extension UpgradePolicy.Rejection {
    init(_ fault: TokenFault) {
        self.init(
            .unauthorized, fault.error, headers: ["WWW-Authenticate": "Bearer error=\"invalid_token\""],
            close: fault.isExpired ? .tokenExpired : .unauthorized)
        cause = fault.rawValue
        self.fault = fault
    }
}
