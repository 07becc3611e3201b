import NIOHTTP1
import Testing

@testable import GatewayServer
@testable import GatewayWebSocket

@Suite struct ClientHandshakeTests {
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    private static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    private func handshake(_ change: (inout ClientWebSocketOptions) -> Void = { _ in }) throws -> ClientHandshake {
        var options = ClientWebSocketOptions()
        change(&options)
        return ClientHandshake(try WebSocketURL("wss://localhost:8443/v1/ws"), options: options, key: Self.key)
    }

    /// A good answer, with fields added, replaced or, when empty, left out.
    private func answer(_ changes: [(String, String)] = []) -> HTTPResponseHead {
        var headers: HTTPHeaders = ["Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": Self.accept]
        for (name, value) in changes {
            headers.remove(name: name)
            if !value.isEmpty { headers.add(name: name, value: value) }
        }
        return HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: headers)
    }

    @Test func `the request is what RFC 6455 asks for`() throws {
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

    @Test func `fields can be replaced and left out`() throws {
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

    @Test func `every request has a key of its own`() {
        let keys = (0..<100).map { _ in ClientHandshake.randomKey() }
        #expect(Set(keys).count == 100)
        #expect(keys.allSatisfy { AcceptKey.isValid(Substring($0)) })
    }

    @Test func `a good answer is taken`() throws {
        let agreement = try handshake().agreement(answer())
        #expect(agreement.subprotocol == nil)
        #expect(agreement.compression == nil)
    }

    @Test func `names of fields and tokens may be in any case, and lists may hold more`() throws {
        _ = try handshake().agreement(answer([("upgrade", "WebSocket"), ("CONNECTION", "keep-alive, UPGRADE")]))
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
    func `an answer that isn't ours is refused`(name: String, value: String, fault: ClientHandshakeFault) throws {
        let handshake = try handshake()
        #expect(throws: fault) { _ = try handshake.agreement(answer([(name, value)])) }
        #expect(throws: Never.self) { _ = try handshake.agreement(answer()) }
    }

    @Test func `two accept keys are one too many`() throws {
        var head = answer()
        head.headers.add(name: "Sec-WebSocket-Accept", value: Self.accept)
        let handshake = try handshake()
        #expect(throws: ClientHandshakeFault.acceptKey) { _ = try handshake.agreement(head) }
    }

    @Test func `what wasn't offered can't be chosen`() throws {
        let bare = try handshake {
            $0.subprotocols = []
            $0.compressionOffer = nil
        }
        #expect(throws: ClientHandshakeFault.subprotocol) {
            _ = try bare.agreement(answer([("Sec-WebSocket-Protocol", "parley.v1")]))
        }
        #expect(throws: ClientHandshakeFault.extensions) {
            _ = try bare.agreement(answer([("Sec-WebSocket-Extensions", "permessage-deflate")]))
        }
        let fixed = try handshake { $0.compressionOffer = "permessage-deflate" }
        #expect(throws: ClientHandshakeFault.compressionParameters) {
            _ = try fixed.agreement(answer([("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=10")]))
        }
        #expect(throws: Never.self) {
            _ = try fixed.agreement(answer([("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=10")]))
        }
    }

    @Test func `what was offered and chosen is agreed on`() throws {
        let agreement = try handshake { $0.subprotocols = ["parley.v1", "resume.abc"] }.agreement(
            answer([
                ("Sec-WebSocket-Protocol", "parley.v1"),
                ("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover; client_max_window_bits=9"),
            ]))
        #expect(agreement.subprotocol == "parley.v1")
        #expect(
            agreement.compression
                == CompressionAgreement(serverNoContextTakeover: true, clientNoContextTakeover: false, clientMaxWindowBits: 9))
    }
}
