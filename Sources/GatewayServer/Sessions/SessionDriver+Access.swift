// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

/// Tokens of the session's connection: their renewal, and the closing of connections for the sake of a user's other tokens.
extension SessionDriver {
    /// Verifies the token of an `auth` message.
    func renewToken() {
        guard let bytes = loop.effects.renewal.take(), let connection else { return }
        let now = loop.sharedNow
        if let wait = loop.shared.connectionLimits.tokenWait(of: connection.client, now: now) {
            loop.metrics.authFailures.add(.throttled)
            return session.rejectRenewal(for: wait, effects: &loop.effects)
        }
        guard let token = String(validating: bytes, as: UTF8.self) else { return reject(.invalidEncoding, of: connection) }
        guard case .unknownKey = verify(token, of: connection) else { return }
        let bound = NIOLoopBound((self, connection), eventLoop: loop.eventLoop)
        loop.shared.access.refreshKeys {
            bound.eventLoop.execute {
                let (driver, connection) = bound.value
                driver.keysRefreshed(for: token, of: connection)
            }
        }
    }

    /// Verifies the token again with new keys, unless the session was closed, detached or transferred meanwhile.
    private func keysRefreshed(for token: String, of connection: Connection) {
        guard sessions[session.id] === self, self.connection === connection else { return }
        loop.withInput {
            if case .unknownKey = verify(token, of: connection) { reject(.unknownKey, of: connection) }
            dispatch()
            flush()
        }
    }

    private func verify(_ token: String, of connection: Connection) -> TokenAuthority.Outcome {
        let verification = loop.shared.access.verify(token, loop.effects.wall)
        switch verification {
        case .granted(let grant):
            guard session.renew(with: grant, effects: &loop.effects), let current = session.access.grant else { break }
            assign(user: current.user, quotas: current.parley.quotas)
            connection.grant = current
            loop.audit(.authenticate, of: connection, [.init("method", "jwt"), .init("renewed", .flag(true))])
            loop.shared.access.users.update(connection.id, of: current.user, session: session.id, issuedAt: current.issuedAt)
        case .rejected(let fault): reject(fault, of: connection)
        case .unknownKey: break
        }
        return verification
    }

    private func reject(_ fault: TokenFault, of connection: Connection) {
        loop.metrics.authFailures.add(AuthFailure(fault))
        loop.shared.connectionLimits.tokenFailed(of: connection.client, now: loop.sharedNow)
        loop.audit(.refuse, of: connection, [.init("code", fault.error.code.rawValue), .init("reason", fault.rawValue)])
        session.rejectRenewal(fault, effects: &loop.effects)
    }
}

extension LocalSessionTable {
    /// Closes a connection of a user. Its session can be resumed, unless the user's tokens were revoked.
    func close(_ connection: Connection, because reason: UserConnections.Reason) {
        guard let id = connection.sessionID, let driver = self[id], driver.connection === connection, let socket = connection.socket else {
            return connection.abort()
        }
        loop.withInput {
            switch reason {
            case .evicted: driver.fail(.evicted, source: .gateway, close: .evicted)
            case .revoked: driver.fail(.tokenRevoked, source: .gateway, close: .unauthorized)
            }
            socket.flush()
        }
    }
}
