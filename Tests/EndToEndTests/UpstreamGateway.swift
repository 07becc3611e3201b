// SPDX-License-Identifier: Apache-2.0

import Support

/// A gateway with doubles for every kind of upstream; `to` in the `meta` of a message selects the upstream.
enum UpstreamGateway {
    /// The kinds of upstreams that respond to texts.
    static let kinds = ["websocket", "http", "openai", "process"]

    static func flags() async throws -> [String: String] {
        let (mux, web, chat, vosk) = (
            try await UpstreamDouble.shared("websocket").port, try await UpstreamDouble.shared("http").port,
            try await UpstreamDouble.shared("openai").port, try await UpstreamDouble.shared("vosk").port
        )
        var flags = [
            "upstreams.websocket.kind": "websocket", "upstreams.websocket.urls": "ws://127.0.0.1:\(mux)",
            // A fault that closes a shared connection fails all requests on it, so concurrent tests get a connection each.
            "upstreams.websocket.connections_per_loop": "64",
            "upstreams.http.kind": "http", "upstreams.http.urls": "http://127.0.0.1:\(web)/answer",
            "upstreams.openai.kind": "openai", "upstreams.openai.urls": "http://127.0.0.1:\(chat)/v1", "upstreams.openai.model": "test",
            "upstreams.vosk.kind": "vosk", "upstreams.vosk.urls": "ws://127.0.0.1:\(vosk)",
            "upstreams.process.kind": "process",
            "upstreams.process.command": "\(try Python.path()),-B,\(Repository.path)/Tests/Upstreams/faulty_process.py",
            "upstreams.stt.kind": "openai", "upstreams.stt.task": "transcription", "upstreams.stt.urls": "http://127.0.0.1:\(chat)/v1",
            "upstreams.voice.kind": "openai", "upstreams.voice.task": "speech", "upstreams.voice.urls": "http://127.0.0.1:\(chat)/v1",
            "routes.chain.meta": "to=chain", "routes.chain.upstreams": "stt,openai,voice", "routes.chain.collect_max_bytes": "64KB",
        ]
        for name in ["websocket", "http", "openai", "vosk", "process", "stt", "voice"] {
            flags["routes.\(name).meta"] = "to=\(name)"
            flags["routes.\(name).upstreams"] = name
            // Faults of other tests must not open the breaker.
            flags["upstreams.\(name).breaker_failures"] = "1000"
            flags["upstreams.\(name).breaker_rate"] = "0"
            // Surplus output of a process fails the next request, which a retry sends to another process.
            flags["upstreams.\(name).retries"] = name == "process" ? "2" : "0"
            // Python starts slowly while many tests run.
            flags["upstreams.\(name).first_byte_timeout"] = name == "process" ? "4s" : "1s"
            flags["upstreams.\(name).between_bytes_timeout"] = "1s"
            flags["upstreams.\(name).max_answer_bytes"] = "2MB"
            flags["upstreams.\(name).max_processes"] = "16"
        }
        return flags
    }

    static func shared(_ more: [String: String] = [:]) async throws -> GatewayProcess {
        try await SharedGateways.withoutLimits(flags().merging(more) { $1 })
    }
}

/// All messages and audio of the response to a request.
struct CollectedResponse {
    var messages: [JSON] = []
    var audioBytes = 0

    /// The concatenated text.
    var text: String { messages.filter { $0["type"] == "text" }.compactMap { $0["text"].string }.joined() }
    var last: JSON { messages.last ?? .null }
    var error: JSON { last["error"] }
}

extension TestWebSocket {
    /// Sends a text, and returns the response.
    func ask(_ text: String, of upstream: String, id: String, stream: Bool = true, meta: [String: JSON] = [:]) async throws
        -> CollectedResponse
    {
        try await send([
            "type": "text", "id": .string(id), "text": .string(text), "stream": .bool(stream),
            "meta": .object(meta.merging(["to": .string(upstream)]) { first, _ in first }),
        ])
        return try await collectResponse(to: id)
    }

    /// Sends silence in chunks of the given sizes in bytes, and returns the response.
    func say(_ chunks: [Int], to upstream: String, id: String, output: JSON? = nil, meta: [String: JSON] = [:]) async throws
        -> CollectedResponse
    {
        var opening: [String: JSON] = [
            "type": "audio", "id": .string(id), "format": ["codec": "pcm16", "rate": 16_000, "channels": 1],
            "meta": .object(meta.merging(["to": .string(upstream)]) { first, _ in first }),
        ]
        opening["output"] = output
        try await send(.object(opening))
        for chunk in chunks { try await send(binary: [UInt8](repeating: 0, count: chunk)) }
        try await send(["type": "audio", "id": .string(id), "final": true])
        return try await collectResponse(to: id)
    }

    /// Reads messages until the request is done, and returns those of its response.
    func collectResponse(to id: String) async throws -> CollectedResponse {
        var response = CollectedResponse()
        while true {
            switch try await next() {
            case .text(let text):
                let message = try JSON(text)
                if message["type"] == "ack" { continue }
                guard message["reply_to"].string == id || message["error"]["reply_to"].string == id else { continue }
                response.messages.append(message)
                // Only the last messages of an endless response are kept.
                if response.messages.count > 1000 { response.messages.removeFirst(900) }
                if message["done"] == true || message["error"]["code"].string != nil { return response }
            case .binary(let bytes): response.audioBytes += bytes.count
            case let other: throw TestFailure("not a response: \(other)")
            }
        }
    }
}
