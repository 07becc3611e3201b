// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket

/// The parsed value of `Sec-WebSocket-Protocol`: the subprotocol, and credentials of clients that can't set headers.
struct SubprotocolList: Equatable {
    private(set) var offersParley = false
    /// The value after `bearer.`.
    private(set) var bearer: String?
    /// The value after `resume.`.
    private(set) var resume: String?

    /// - Throws: ``UpgradeFailure/subprotocols`` for an entry that isn't a token or is repeated (RFC 6455 §4.1), or an empty list;
    ///   ``UpgradeFailure/missingSubprotocol`` for credentials without the subprotocol; ``UpgradeFailure/authorization``,
    ///   ``UpgradeFailure/resumeToken`` or ``UpgradeFailure/conflictingCredentials`` for bad credentials.
    init(_ fields: [String], subprotocol: String) throws(UpgradeFailure) {
        guard !fields.isEmpty else { return }
        let entries = HeaderGrammar.elements(of: fields)
        guard !entries.isEmpty else { throw .subprotocols }
        var seen: Set<Substring> = []
        for entry in entries {
            guard HeaderGrammar.isToken(entry), seen.insert(entry).inserted else { throw .subprotocols }
            if entry == Substring(subprotocol) {
                offersParley = true
            } else if entry.hasPrefix("bearer.") {
                let token = entry.dropFirst("bearer.".count)
                guard Self.isCredential(token) else { throw .authorization }
                guard bearer == nil else { throw .conflictingCredentials }
                bearer = String(token)
            } else if entry.hasPrefix("resume.") {
                let token = entry.dropFirst("resume.".count)
                guard Self.isCredential(token) else { throw .resumeToken }
                guard resume == nil else { throw .conflictingCredentials }
                resume = String(token)
            }
        }
        guard offersParley || (bearer == nil && resume == nil) else { throw .missingSubprotocol }
    }

    /// Whether `token` is a `b64token`: letters, digits, `-._~+/`, then equals signs (RFC 6750 §2.1). JWTs and resume tokens have this
    /// form.
    static func isCredential(_ token: Substring) -> Bool {
        var bytes = token.utf8
        while bytes.last == 0x3D { bytes.removeLast() }
        return !bytes.isEmpty
            && bytes.allSatisfy {
                switch $0 {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E, 0x2B, 0x2F: true
                default: false
                }
            }
    }
}
