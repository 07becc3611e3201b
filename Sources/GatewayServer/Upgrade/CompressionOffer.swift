package import GatewayWebSocket

/// One acceptable offer of permessage-deflate by a client (RFC 7692 §7.1).
package struct CompressionOffer: Sendable, Equatable {
    package static let extensionName = "permessage-deflate"

    package enum ClientWindow: Sendable, Equatable {
        /// The parameter without a value: the client can be told any.
        case any
        case bits(Int)
    }

    package private(set) var serverNoContextTakeover = false
    package private(set) var clientNoContextTakeover = false
    /// What our window is asked to be at most, 8–15.
    package private(set) var serverMaxWindowBits: Int?
    package private(set) var clientMaxWindowBits: ClientWindow?

    /// The acceptable offers, in the client's order of preference.
    ///
    /// An offer with an unknown, repeated or ill-valued parameter is declined, and the next one counts (RFC 7692 §5, §7.1).
    /// - Parameter fields: the values of all `Sec-WebSocket-Extensions` headers.
    /// - Throws: ``UpgradeFailure/extensions`` when they aren't the grammar of RFC 6455 §9.1.
    package static func offers(in fields: [String]) throws(UpgradeFailure) -> [CompressionOffer] {
        try ExtensionList(fields).extensions.compactMap { $0.name == extensionName ? CompressionOffer($0.parameters) : nil }
    }

    private init?(_ parameters: [ExtensionList.Parameter]) {
        for parameter in parameters {
            switch (parameter.name, parameter.value) {
            case ("server_no_context_takeover", nil) where !serverNoContextTakeover:
                serverNoContextTakeover = true
            case ("client_no_context_takeover", nil) where !clientNoContextTakeover:
                clientNoContextTakeover = true
            case ("server_max_window_bits", let value?) where serverMaxWindowBits == nil:
                guard let bits = Self.windowBits(value) else { return nil }
                serverMaxWindowBits = bits
            case ("client_max_window_bits", let value) where clientMaxWindowBits == nil:
                if let value {
                    guard let bits = Self.windowBits(value) else { return nil }
                    clientMaxWindowBits = .bits(bits)
                } else {
                    clientMaxWindowBits = .any
                }
            default:
                return nil
            }
        }
    }

    /// 8–15 in decimal, without leading zeros (RFC 7692 §7.1.2.1).
    private static func windowBits(_ value: String) -> Int? {
        switch value {
        case "8": 8
        case "9": 9
        case "10": 10
        case "11": 11
        case "12": 12
        case "13": 13
        case "14": 14
        case "15": 15
        default: nil
        }
    }

    /// What we would agree on, nil to decline.
    ///
    /// A server window of 8 bits is declined: zlib can't make a raw stream for it.
    package func agreement(_ mode: CompressionMode) -> CompressionAgreement? {
        guard mode != .off, serverMaxWindowBits != 8 else { return nil }
        let isShared = mode == .shared
        var clientBits: Int?
        // A value is a promise of the client's; taking it up saves window memory. Where the loop's window serves, there is none to save.
        if case .bits(let bits) = clientMaxWindowBits, !isShared { clientBits = bits }
        return CompressionAgreement(
            serverNoContextTakeover: isShared || serverNoContextTakeover,
            clientNoContextTakeover: isShared || clientNoContextTakeover,
            serverMaxWindowBits: serverMaxWindowBits,
            clientMaxWindowBits: clientBits)
    }
}

extension CompressionAgreement {
    /// The value of `Sec-WebSocket-Extensions` in the answer: made of our own words and numbers, nothing of the client's is echoed.
    package var responseValue: String {
        var value = CompressionOffer.extensionName
        if serverNoContextTakeover { value += "; server_no_context_takeover" }
        if clientNoContextTakeover { value += "; client_no_context_takeover" }
        if let bits = serverMaxWindowBits { value += "; server_max_window_bits=\(bits)" }
        if let bits = clientMaxWindowBits { value += "; client_max_window_bits=\(bits)" }
        return value
    }
}
