// SPDX-License-Identifier: Apache-2.0

import GatewayTLS
import NIOHTTP1
import Testing

@testable import GatewayWebSocket
@testable import ParleyClient

@Suite struct ClientHandshakeTests {
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    private static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    private func handshake(_ change: (inout ClientWebSocketOptions) -> Void = { _ in }) throws -> ClientHandshake {
        var options = ClientWebSocketOptions()
        change(&options)
        return ClientHandshake(try WebSocketURL("wss://localhost:8443/v1/ws"), options: options, key: Self.key)
    }

    /// Returns a valid response with header fields added, replaced or, if the value is empty, removed.
    private func response(_ changes: [(String, String)] = []) -> HTTPResponseHead {
        var headers: HTTPHeaders = ["Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": Self.accept]
        for (name, value) in changes {
            headers.remove(name: name)
            if !value.isEmpty { headers.add(name: name, value: value) }
        }
        return HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: headers)
    }

    @Test func `the request has the fields that RFC 6455 requires`() throws {
        let request = try handshake().request
        #expect(request.method == .GET)
        #expect(request.uri == "/v1/ws")
        #expect(request.headers["Host"] == ["localhost:8443"])
        #expect(request.headers["Upgrade"] == ["websocket"])
        #expect(request.headers["Connection"] == ["Upgrade"])
        #expect(request.headers["Sec-WebSocket-Version"] == ["13"])
        #expect(request.headers["Sec-WebSocket-Key"] == [Self.key])
        #expect(request.headers["Sec-WebSocket-Protocol"] == ["parley.v1"])
        #expect(request.headers["Sec-WebSocket-Extensions"] == [ClientWebSocketOptions.compressionOffer])
    }

    @Test func `header fields can be replaced and omitted`() throws {
        let request = try handshake {
            $0.headers = ["Sec-WebSocket-Version": "12", "Origin": "https://a.example"]
            $0.omittedHeaders = ["upgrade"]
            $0.subprotocols = []
            $0.compressionOffer = nil
        }.request
        #expect(request.headers["Sec-WebSocket-Version"] == ["12"])
        #expect(request.headers["Origin"] == ["https://a.example"])
        #expect(!request.headers.contains(name: "Upgrade"))
        #expect(!request.headers.contains(name: "Sec-WebSocket-Protocol"))
        #expect(!request.headers.contains(name: "Sec-WebSocket-Extensions"))
    }

    @Test func `every request has a new key`() {
        let keys = (0..<100).map { _ in ClientHandshake.randomKey() }
        #expect(Set(keys).count == 100)
        #expect(keys.allSatisfy { AcceptKey.isValid(Substring($0)) })
    }

    @Test func `a valid response is accepted`() throws {
        let agreement = try handshake().agreement(response())
        #expect(agreement.subprotocol == nil)
        #expect(agreement.compression == nil)
    }

    @Test func `field names and tokens are case-insensitive, and lists may contain other elements`() throws {
        _ = try handshake().agreement(response([("upgrade", "WebSocket"), ("CONNECTION", "keep-alive, UPGRADE")]))
    }

    @Test(
        arguments: [
            ("Upgrade", "", .upgrade), ("Upgrade", "h2c", .upgrade), ("Connection", "", .connection), ("Connection", "close", .connection),
            ("Sec-WebSocket-Accept", "", .acceptKey), ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOp=", .acceptKey),
            ("Sec-WebSocket-Accept", "S3PPLMBITXAQ9KYGZZHZRBK+XOO=", .acceptKey), ("Sec-WebSocket-Accept", key, .acceptKey),
            ("Sec-WebSocket-Protocol", "parley.v2", .subprotocol), ("Sec-WebSocket-Protocol", "parley.v1, parley.v1", .subprotocol),
            ("Sec-WebSocket-Extensions", "x-webkit-deflate-frame", .extensions),
            ("Sec-WebSocket-Extensions", "permessage-deflate;;", .extensions),
            ("Sec-WebSocket-Extensions", "permessage-deflate, permessage-deflate", .extensions),
            ("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=7", .compressionParameters),
            ("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=16", .compressionParameters),
            ("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=09", .compressionParameters),
            ("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits", .compressionParameters),
            ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits", .compressionParameters),
            ("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover=1", .compressionParameters),
            (
                "Sec-WebSocket-Extensions", "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
                .compressionParameters
            ),
            ("Sec-WebSocket-Extensions", "permessage-deflate; mystery", .compressionParameters),
        ] as [(String, String, ClientHandshakeFault)])
    func `a response that doesn't match the request fails the handshake`(name: String, value: String, fault: ClientHandshakeFault) throws {
        let handshake = try handshake()
        #expect(throws: fault) { _ = try handshake.agreement(response([(name, value)])) }
        #expect(throws: Never.self) { _ = try handshake.agreement(response()) }
    }

    @Test func `a repeated Sec-WebSocket-Accept fails the handshake`() throws {
        var head = response()
        head.headers.add(name: "Sec-WebSocket-Accept", value: Self.accept)
        let handshake = try handshake()
        #expect(throws: ClientHandshakeFault.acceptKey) { _ = try handshake.agreement(head) }
    }

    @Test func `a subprotocol, extension or parameter that wasn't offered fails the handshake`() throws {
        let bare = try handshake {
            $0.subprotocols = []
            $0.compressionOffer = nil
        }
        #expect(throws: ClientHandshakeFault.subprotocol) {
            _ = try bare.agreement(response([("Sec-WebSocket-Protocol", "parley.v1")]))
        }
        #expect(throws: ClientHandshakeFault.extensions) {
            _ = try bare.agreement(response([("Sec-WebSocket-Extensions", "permessage-deflate")]))
        }
        let fixed = try handshake { $0.compressionOffer = "permessage-deflate" }
        #expect(throws: ClientHandshakeFault.compressionParameters) {
            _ = try fixed.agreement(response([("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=10")]))
        }
        #expect(throws: Never.self) {
            _ = try fixed.agreement(response([("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=10")]))
        }
    }

    @Test func `an offered subprotocol and extension are accepted`() throws {
        let agreement = try handshake { $0.subprotocols = ["parley.v1", "resume.abc"] }.agreement(
            response([
                ("Sec-WebSocket-Protocol", "parley.v1"),
                ("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover; client_max_window_bits=9"),
            ]))
        #expect(agreement.subprotocol == "parley.v1")
        #expect(
            agreement.compression
                == CompressionAgreement(serverNoContextTakeover: true, clientNoContextTakeover: false, clientMaxWindowBits: 9))
    }
}
