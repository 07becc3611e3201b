// SPDX-License-Identifier: Apache-2.0

package import GatewayWebSocket

/// One acceptable offer of permessage-deflate by a client (RFC 7692 §7.1).
package struct CompressionOffer: Sendable, Equatable {
    package static let extensionName = "permessage-deflate"

    package enum ClientWindow: Sendable, Equatable {
        /// `client_max_window_bits` without a value: the client accepts any window size.
        case any
        case bits(Int)
    }

    package private(set) var serverNoContextTakeover = false
    package private(set) var clientNoContextTakeover = false
    /// The limit that the client requests for the server's window, 8–15.
    package private(set) var serverMaxWindowBits: Int?
    package private(set) var clientMaxWindowBits: ClientWindow?

    /// Returns the acceptable offers, in the client's order of preference.
    ///
    /// An offer with an unknown, repeated or invalid parameter is declined, and the next offer is considered (RFC 7692 §5, §7.1).
    ///
    /// - Parameter fields: the values of all `Sec-WebSocket-Extensions` headers.
    /// - Throws: ``UpgradeFailure/extensions`` when a value violates the grammar of RFC 6455 §9.1.
    package static func offers(in fields: [String]) throws(UpgradeFailure) -> [CompressionOffer] {
        do throws(ExtensionList.Malformed) {
            return try ExtensionList(fields).extensions.compactMap { $0.name == extensionName ? CompressionOffer($0.parameters) : nil }
        } catch {
            throw .extensions
        }
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

    /// Parses a window size: 8–15 in decimal, without leading zeros (RFC 7692 §7.1.2.1).
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

    /// Returns the agreement that accepts this offer; nil to decline it.
    ///
    /// A server window of 8 bits is declined, because zlib can't create a raw stream with it.
    package func agreement(_ mode: CompressionMode) -> CompressionAgreement? {
        guard mode != .off, serverMaxWindowBits != 8 else { return nil }
        let isShared = mode == .shared
        var clientBits: Int?
        // The client offers not to exceed this window. Agreeing saves memory, but not with a window that the event loop's connections
        // share.
        if case .bits(let bits) = clientMaxWindowBits, !isShared { clientBits = bits }
        return CompressionAgreement(
            serverNoContextTakeover: isShared || serverNoContextTakeover,
            clientNoContextTakeover: isShared || clientNoContextTakeover,
            serverMaxWindowBits: serverMaxWindowBits,
            clientMaxWindowBits: clientBits)
    }
}

extension CompressionAgreement {
    /// The value of `Sec-WebSocket-Extensions` in the response. Contains no text of the client.
    package var responseValue: String {
        var value = CompressionOffer.extensionName
        if serverNoContextTakeover { value += "; server_no_context_takeover" }
        if clientNoContextTakeover { value += "; client_no_context_takeover" }
        if let bits = serverMaxWindowBits { value += "; server_max_window_bits=\(bits)" }
        if let bits = clientMaxWindowBits { value += "; client_max_window_bits=\(bits)" }
        return value
    }
}
