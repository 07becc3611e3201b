package import NIOHTTP1

/// A request for a WebSocket that keeps all rules of RFC 6455 §4.2.1, and what it says to Parley.
///
/// Who may connect, and from where, is decided elsewhere: this only reads.
package struct UpgradeRequest: Sendable, Equatable {
    /// The one subprotocol there is, echoed when it was offered.
    package static let subprotocol = "parley.v1"

    package let target: RequestTarget
    package let host: String
    /// Value of the Origin header, as sent; programs that aren't browsers send none.
    package let origin: String?
    /// Value of `Sec-WebSocket-Accept` for the answer.
    package let acceptKey: String
    /// Whether ``subprotocol`` was offered.
    package let offersSubprotocol: Bool
    /// Acceptable offers of permessage-deflate, in order of preference.
    package let compressionOffers: [CompressionOffer]
    /// From `Authorization: Bearer` or the subprotocol list; not from the query, see ``RequestTarget/bearer``.
    package let bearer: String?
    /// From `Parley-Resume` or the subprotocol list; not from the query, see ``RequestTarget/resume``.
    package let resume: String?

    /// - Throws: the first rule that is broken.
    package init(_ head: HTTPRequestHead) throws(UpgradeFailure) {
        let headers = head.headers
        guard head.method == .GET else { throw .methodNotAllowed }
        guard head.version.major == 1, head.version.minor >= 1 else { throw .httpVersion }
        target = try RequestTarget(head.uri)
        guard let host = Self.only(headers["Host"]), HostGrammar.isValid(host) else { throw .host }
        self.host = String(host)
        guard headers["Transfer-Encoding"].isEmpty, headers["Content-Length"].allSatisfy({ $0 == "0" }) else { throw .body }
        guard HeaderGrammar.list(headers["Upgrade"], contains: "websocket") else { throw .notAnUpgrade }
        guard HeaderGrammar.list(headers["Connection"], contains: "upgrade") else { throw .notAConnectionUpgrade }
        guard Self.only(headers["Sec-WebSocket-Version"]) == Substring(UpgradeFailure.supportedVersion) else { throw .version }
        guard let key = Self.only(headers["Sec-WebSocket-Key"]), AcceptKey.isValid(key) else { throw .key }
        acceptKey = AcceptKey.accept(for: String(key))
        let origins = headers["Origin"]
        guard origins.count <= 1 else { throw .origin }
        origin = origins.first
        compressionOffers = try CompressionOffer.offers(in: headers["Sec-WebSocket-Extensions"])

        let subprotocols = try SubprotocolList(headers["Sec-WebSocket-Protocol"], subprotocol: Self.subprotocol)
        offersSubprotocol = subprotocols.offersParley
        bearer = try Self.agreed(Self.bearer(headers["Authorization"]), subprotocols.bearer)
        resume = try Self.agreed(Self.resumeToken(headers["Parley-Resume"]), subprotocols.resume)
    }

    /// What is agreed on for this connection: the first offer that the mode can serve, nil for none.
    package func compression(_ mode: CompressionMode) -> CompressionAgreement? {
        for offer in compressionOffers {
            if let agreement = offer.agreement(mode) { return agreement }
        }
        return nil
    }

    /// The headers of the 101 answer, but for what a proxy adds: no byte of them is the client's.
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

    private static func only(_ fields: [String]) -> Substring? {
        guard fields.count == 1, let field = fields.first else { return nil }
        return HeaderGrammar.trimmed(Substring(field))
    }

    private static func agreed(_ first: String?, _ second: String?) throws(UpgradeFailure) -> String? {
        guard let first, let second else { return first ?? second }
        guard first == second else { throw .conflictingCredentials }
        return first
    }

    /// `Bearer` and a `b64token` (RFC 6750 §2.1). Another scheme isn't ours to judge, and is no bearer token.
    private static func bearer(_ fields: [String]) throws(UpgradeFailure) -> String? {
        guard !fields.isEmpty else { return nil }
        guard let field = only(fields) else { throw .authorization }
        let scheme = field.prefix { $0 != " " }
        guard HeaderGrammar.equal(scheme, "Bearer") else { return nil }
        let token = field.dropFirst(scheme.count).drop { $0 == " " }
        guard SubprotocolList.isCredential(token) else { throw .authorization }
        return String(token)
    }

    private static func resumeToken(_ fields: [String]) throws(UpgradeFailure) -> String? {
        guard !fields.isEmpty else { return nil }
        guard let token = only(fields), SubprotocolList.isCredential(token) else { throw .resumeToken }
        return String(token)
    }
}
