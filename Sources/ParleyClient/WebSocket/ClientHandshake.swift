// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayTLS
package import GatewayWebSocket
package import NIOHTTP1

/// The client side of the opening handshake (RFC 6455 §4.1): builds the request and validates the response.
package struct ClientHandshake: Sendable {
    /// The result of the negotiation.
    package struct Agreement: Sendable, Equatable {
        package var subprotocol: String?
        package var compression: CompressionAgreement?
        /// All header fields of the response.
        package var headers: HTTPHeaders
    }

    package let request: HTTPRequestHead
    private let key: String
    private let subprotocols: [String]
    private let offersCompression: Bool
    private let offersClientWindow: Bool

    /// - Parameter key: base64 of 16 bytes; random, unless a test needs a known key
    package init(_ url: WebSocketURL, options: ClientWebSocketOptions, key: String = Self.randomKey()) {
        var headers: HTTPHeaders = [
            "Host": url.authority, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key,
        ]
        if !options.subprotocols.isEmpty {
            headers.add(name: "Sec-WebSocket-Protocol", value: options.subprotocols.joined(separator: ", "))
        }
        if let offer = options.compressionOffer { headers.add(name: "Sec-WebSocket-Extensions", value: offer) }
        for (name, _) in options.headers { headers.remove(name: name) }
        headers.add(contentsOf: options.headers)
        for name in options.omittedHeaders { headers.remove(name: name) }
        request = HTTPRequestHead(version: .http1_1, method: .GET, uri: url.target, headers: headers)
        self.key = headers.first(name: "Sec-WebSocket-Key") ?? key
        subprotocols = HeaderGrammar.elements(of: headers["Sec-WebSocket-Protocol"]).map(String.init)
        let offers = (try? ExtensionList(headers["Sec-WebSocket-Extensions"]))?.extensions.filter { $0.name == Self.compression } ?? []
        offersCompression = !offers.isEmpty
        offersClientWindow = offers.contains { $0.parameters.contains { $0.name == "client_max_window_bits" } }
    }

    package static func randomKey() -> String {
        var generator = SystemRandomNumberGenerator()
        return Data((0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) }).base64EncodedString()
    }

    /// Validates the head of a response with status 101.
    package func agreement(_ head: HTTPResponseHead) throws(ClientHandshakeFault) -> Agreement {
        let headers = head.headers
        guard HeaderGrammar.list(headers["Upgrade"], contains: "websocket") else { throw .upgrade }
        guard HeaderGrammar.list(headers["Connection"], contains: "upgrade") else { throw .connection }
        let accepts = headers["Sec-WebSocket-Accept"]
        guard accepts.count == 1, accepts.first.map({ HeaderGrammar.trimmed(Substring($0)) }) == Substring(AcceptKey.accept(for: key))
        else { throw .acceptKey }
        let chosen = HeaderGrammar.elements(of: headers["Sec-WebSocket-Protocol"]).map(String.init)
        guard chosen.count <= 1, chosen.allSatisfy(subprotocols.contains) else { throw .subprotocol }
        return Agreement(
            subprotocol: chosen.first, compression: try compression(headers["Sec-WebSocket-Extensions"]), headers: headers)
    }

    private static let compression = "permessage-deflate"

    private func compression(_ fields: [String]) throws(ClientHandshakeFault) -> CompressionAgreement? {
        let list: ExtensionList
        do { list = try ExtensionList(fields) } catch { throw .extensions }
        guard let accepted = list.extensions.first else { return nil }
        guard list.extensions.count == 1, accepted.name == Self.compression, offersCompression else { throw .extensions }
        var agreement = CompressionAgreement(serverNoContextTakeover: false, clientNoContextTakeover: false)
        for parameter in accepted.parameters {
            switch (parameter.name, parameter.value) {
            case ("server_no_context_takeover", nil) where !agreement.serverNoContextTakeover:
                agreement.serverNoContextTakeover = true
            case ("client_no_context_takeover", nil) where !agreement.clientNoContextTakeover:
                agreement.clientNoContextTakeover = true
            case ("server_max_window_bits", let value?) where agreement.serverMaxWindowBits == nil:
                agreement.serverMaxWindowBits = try Self.windowBits(value)
            case ("client_max_window_bits", let value?) where agreement.clientMaxWindowBits == nil && offersClientWindow:
                agreement.clientMaxWindowBits = try Self.windowBits(value)
            default:
                throw .compressionParameters
            }
        }
        return agreement
    }

    private static func windowBits(_ value: String) throws(ClientHandshakeFault) -> Int {
        guard let bits = Int(value), (8...15).contains(bits), String(bits) == value else { throw .compressionParameters }
        return bits
    }
}
