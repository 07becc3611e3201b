// SPDX-License-Identifier: Apache-2.0

import GatewayTLS
package import GatewayWebSocket
package import NIOHTTP1

/// A parsed WebSocket upgrade request that complies with RFC 6455 §4.2.1.
///
/// Parses only; ``UpgradePolicy`` admits or rejects.
package struct UpgradeRequest: Sendable, Equatable {
    /// The only supported subprotocol, echoed if offered.
    package static let subprotocol = "parley.v1"

    package let target: RequestTarget
    package let host: String
    /// The value of the Origin header as sent; nil for non-browser clients.
    package let origin: String?
    /// The value of `Sec-WebSocket-Accept` for the response.
    package let acceptKey: String
    /// Whether ``subprotocol`` was offered.
    package let offersSubprotocol: Bool
    /// The acceptable offers of permessage-deflate, in the client's order of preference.
    package let compressionOffers: [CompressionOffer]
    /// The token of `Authorization: Bearer` or the subprotocol list; for the query, see ``RequestTarget/bearer``.
    package let bearer: String?
    /// The token of `Parley-Resume` or the subprotocol list; for the query, see ``RequestTarget/resume``.
    package let resume: String?

    /// - Throws: the first violated rule.
    package init(_ head: HTTPRequestHead) throws(UpgradeFailure) {
        let headers = head.headers
        guard head.method == .GET else { throw .methodNotAllowed }
        guard head.version.major == 1, head.version.minor >= 1 else { throw .httpVersion }
        target = try RequestTarget(head.uri)
        guard let host = Self.singleValue(headers["Host"]), HostGrammar.isValid(host) else { throw .host }
        self.host = String(host)
        guard headers["Transfer-Encoding"].isEmpty, headers["Content-Length"].allSatisfy({ $0 == "0" }) else { throw .body }
        guard HeaderGrammar.list(headers["Upgrade"], contains: "websocket") else { throw .notAnUpgrade }
        guard HeaderGrammar.list(headers["Connection"], contains: "upgrade") else { throw .notAConnectionUpgrade }
        guard Self.singleValue(headers["Sec-WebSocket-Version"]) == Substring(UpgradeFailure.supportedVersion) else { throw .version }
        guard let key = Self.singleValue(headers["Sec-WebSocket-Key"]), AcceptKey.isValid(key) else { throw .key }
        acceptKey = AcceptKey.accept(for: String(key))
        let origins = headers["Origin"]
        guard origins.count <= 1 else { throw .origin }
        origin = origins.first
        compressionOffers = try CompressionOffer.offers(in: headers["Sec-WebSocket-Extensions"])

        let subprotocols = try SubprotocolList(headers["Sec-WebSocket-Protocol"], subprotocol: Self.subprotocol)
        offersSubprotocol = subprotocols.offersParley
        bearer = try Self.combined(Self.bearer(headers["Authorization"]), subprotocols.bearer)
        resume = try Self.combined(Self.resumeToken(headers["Parley-Resume"]), subprotocols.resume)
    }

    /// Returns the agreement for the first offer that `mode` supports; nil for none.
    package func compression(_ mode: CompressionMode) -> CompressionAgreement? {
        for offer in compressionOffers {
            if let agreement = offer.agreement(mode) { return agreement }
        }
        return nil
    }

    /// Returns the headers of the 101 response. They contain no text of the client.
    package func responseHeaders(compression: CompressionAgreement?) -> HTTPHeaders {
        var headers: HTTPHeaders = [
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": acceptKey,
        ]
        if offersSubprotocol { headers.add(name: "Sec-WebSocket-Protocol", value: Self.subprotocol) }
        if let compression { headers.add(name: "Sec-WebSocket-Extensions", value: compression.responseValue) }
        return headers
    }

    private static func singleValue(_ fields: [String]) -> Substring? {
        guard fields.count == 1, let field = fields.first else { return nil }
        return HeaderGrammar.trimmed(Substring(field))
    }

    private static func combined(_ first: String?, _ second: String?) throws(UpgradeFailure) -> String? {
        guard let first, let second else { return first ?? second }
        guard first == second else { throw .conflictingCredentials }
        return first
    }

    /// Parses `Bearer` and a `b64token` (RFC 6750 §2.1). Other schemes are ignored.
    private static func bearer(_ fields: [String]) throws(UpgradeFailure) -> String? {
        guard !fields.isEmpty else { return nil }
        guard let field = singleValue(fields) else { throw .authorization }
        let scheme = field.prefix { $0 != " " }
        guard HeaderGrammar.equal(scheme, "Bearer") else { return nil }
        let token = field.dropFirst(scheme.count).drop { $0 == " " }
        guard SubprotocolList.isCredential(token) else { throw .authorization }
        return String(token)
    }

    private static func resumeToken(_ fields: [String]) throws(UpgradeFailure) -> String? {
        guard !fields.isEmpty else { return nil }
        guard let token = singleValue(fields), SubprotocolList.isCredential(token) else { throw .resumeToken }
        return String(token)
    }
}
