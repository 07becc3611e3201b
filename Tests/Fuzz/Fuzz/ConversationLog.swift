import Foundation
import GatewayServer
import GatewayWebSocket

/// All that a gateway said on one connection, with what differs from run to run taken out, to be compared with what it said to the same
/// bytes in other pieces.
///
/// What came in one read is answered in one write, the replies first; so replies are compared with replies, and the sequenced answers of
/// a request with those of the same request.
struct ConversationLog {
    private(set) var head = ""
    private(set) var body = ""
    private(set) var replies: [String] = []
    private(set) var answers: [String: [String]] = [:]
    private(set) var audio: [UInt8] = []
    private(set) var pongs: [[UInt8]] = []
    private(set) var close: String?
    /// Whether something was said that depends on how far the upstream had got: how fast it is, isn't promised.
    private(set) var dependsOnUpstream = false

    /// What `/echo` gave back, whose bytes are the client's own.
    private var isEcho = false
    private var lastSequence: UInt64 = 0
    private var mayJump = false

    private static let unpredictable = [
        "correlation_id", "session_id", "resume_token", "expires_at", "connected_at", "server_ts",
    ]
    private static let upstreamWords = ["\"state\":\"cancelled\"", "\"code\":\"not_found\"", "overloaded", "memory_limit", "slow_consumer"]

    init(_ output: [UInt8]) {
        guard !output.isEmpty else { return }
        guard let end = output.firstRange(of: Array("\r\n\r\n".utf8)) else {
            require(false, "a head is sent whole")
            return
        }
        head = String(decoding: output[..<end.lowerBound], as: UTF8.self)
        require(head.hasPrefix("HTTP/1.1 "), "an answer is HTTP")
        let rest = Array(output[end.upperBound...])
        guard head.hasPrefix("HTTP/1.1 101 ") else {
            require(head.contains("Connection: close"), "a refusal closes")
            body = Self.masked(String(decoding: rest, as: UTF8.self))
            require(rest.isEmpty || Self.isJSON(rest) || head.contains("text/plain"), "a body is JSON: \(body)")
            return
        }
        var log = FrameLog(role: .client, limits: WebSocketLimits(maxMessageBytes: 0, maxFragments: 0), compression: Self.agreement(head))
        log.feed(rest)
        isEcho = !Self.isGreeting(log.entries.first)
        for entry in log.entries { note(entry) }
    }

    /// Whether two runs on the same bytes came to the same.
    static func == (left: Self, right: Self) -> Bool {
        guard left.head == right.head, left.body == right.body else { return false }
        if left.dependsOnUpstream || right.dependsOnUpstream { return true }
        guard left.close == right.close, left.replies == right.replies, left.pongs == right.pongs else { return false }
        guard left.close != nil else { return left.answers == right.answers && left.audio == right.audio }
        // A close cuts short what the upstream still has to say.
        return Set(left.answers.keys).union(right.answers.keys).allSatisfy { request in
            zip(left.answers[request] ?? [], right.answers[request] ?? []).allSatisfy { $0 == $1 }
        } && zip(left.audio, right.audio).allSatisfy { $0 == $1 }
    }

    private mutating func note(_ entry: FrameLog.Entry) {
        require(close == nil, "nothing is sent after a close frame")
        switch entry {
        case .text(let bytes): note(String(decoding: bytes, as: UTF8.self), bytes)
        case .binary(let bytes):
            lastSequence += 1
            audio += bytes
        case .ping: break
        case .pong(let bytes): pongs.append(bytes)
        case .close(let code, let reason):
            // A correlation id has 26 characters, and no word of ours does.
            let words: [Substring] = String(decoding: reason, as: UTF8.self).split(separator: " ").filter { $0.count != 26 }
            close = "\(code ?? 0) " + words.joined(separator: " ")
        case .error(let error): require(false, "our own frames are right: \(error)")
        }
    }

    private mutating func note(_ text: String, _ bytes: [UInt8]) {
        if isEcho { return replies.append(text) }
        require(Self.isJSON(bytes), "a message is JSON: \(text)")
        for word in Self.upstreamWords where text.contains(word) { dependsOnUpstream = true }
        guard let sequence = Self.number(after: "\",\"seq\":", in: text), !text.hasPrefix("{\"type\":\"ack\"") else {
            // A report counts what was said so far, and the bytes held for it.
            if text.hasPrefix("{\"type\":\"status\"") { return replies.append("report") }
            return replies.append(Self.masked(text))
        }
        require(sequence > lastSequence, "nothing is sequenced twice: \(sequence) after \(lastSequence)")
        require(
            sequence == lastSequence + 1 || mayJump || text.contains("\"cancelled\""), "numbers jump only where something was cancelled")
        if text.contains("\"state\":\"cancelled\"") { mayJump = true }
        lastSequence = sequence
        let request = Self.string(after: "\"reply_to\":\"", in: text)
        answers[request, default: []].append(Self.masked(text.replacing("\"seq\":\(sequence)", with: "\"seq\":", maxReplacements: 1)))
    }

    /// What a session or a refusal in its place begins with, and no echo by chance.
    private static func isGreeting(_ entry: FrameLog.Entry?) -> Bool {
        guard case .text(let bytes)? = entry else { return false }
        return bytes.starts(with: Array("{\"type\":\"session\",\"session_id\":\"01".utf8))
            || bytes.starts(with: Array("{\"type\":\"error\",\"error\":".utf8))
    }

    private static func isJSON(_ bytes: [UInt8]) -> Bool {
        (try? JSONSerialization.jsonObject(with: Data(bytes))) is [String: Any]
    }

    private static func agreement(_ head: String) -> CompressionAgreement? {
        guard head.contains("permessage-deflate") else { return nil }
        return CompressionAgreement(
            serverNoContextTakeover: head.contains("server_no_context_takeover"),
            clientNoContextTakeover: head.contains("client_no_context_takeover"),
            serverMaxWindowBits: number(after: "server_max_window_bits=", in: head).map { Int($0) })
    }

    private static func number(after name: String, in text: String) -> UInt64? {
        guard let range = text.firstRange(of: name) else { return nil }
        return UInt64(text[range.upperBound...].prefix { $0.isNumber })
    }

    private static func string(after name: String, in text: String) -> String {
        guard let range = text.firstRange(of: name) else { return "" }
        return String(text[range.upperBound...].prefix { $0 != "\"" })
    }

    /// Takes out the values of the fields that are random or times.
    private static func masked(_ text: String) -> String {
        var text = text
        for name in unpredictable {
            guard let range = text.firstRange(of: "\"\(name)\":") else { continue }
            let value = text[range.upperBound...].prefix { $0 != "," && $0 != "}" }
            text.replaceSubrange(value.startIndex..<value.endIndex, with: "")
        }
        return text
    }
}
