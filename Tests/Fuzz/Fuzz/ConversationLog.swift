// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayServer
import GatewayWebSocket

/// Everything that a gateway sent on one connection, without values that differ between runs, for comparison with a run in which the same
/// bytes were split differently.
///
/// The output for one read is one write, with the replies first. Hence replies are compared with replies, and the sequenced responses to a
/// request with those to the same request.
///
/// Invariants: Every frame is valid, and nothing follows a close frame. Messages are JSON. Sequence numbers increase, with gaps only after a
/// cancellation.
struct ConversationLog {
    private(set) var head = ""
    private(set) var body = ""
    private(set) var replies: [String] = []
    private(set) var responses: [String: [String]] = [:]
    private(set) var audio: [UInt8] = []
    private(set) var pongs: [[UInt8]] = []
    private(set) var close: String?
    /// Whether the output depends on the upstream's progress, whose timing isn't specified.
    private(set) var dependsOnUpstream = false

    /// Whether the path is `/echo`, whose output consists of the client's own bytes.
    private var isEcho = false
    private var lastSequence: UInt64 = 0
    private var mayHaveGap = false

    private static let volatileFields = [
        "correlation_id", "session_id", "resume_token", "expires_at", "connected_at", "server_ts",
    ]
    private static let upstreamWords = ["\"state\":\"cancelled\"", "\"code\":\"not_found\"", "overloaded", "memory_limit", "slow_consumer"]

    init(_ output: [UInt8]) {
        guard !output.isEmpty else { return }
        guard let end = output.firstRange(of: Array("\r\n\r\n".utf8)) else {
            require(false, "a response head is sent completely")
            return
        }
        head = String(decoding: output[..<end.lowerBound], as: UTF8.self)
        require(head.hasPrefix("HTTP/1.1 "), "a response is HTTP/1.1")
        let rest = Array(output[end.upperBound...])
        guard head.hasPrefix("HTTP/1.1 101 ") else {
            require(head.contains("Connection: close"), "a rejection closes the connection")
            body = Self.redacted(String(decoding: rest, as: UTF8.self))
            require(rest.isEmpty || Self.isJSON(rest) || head.contains("text/plain"), "a body is JSON or plain text: \(body)")
            return
        }
        var log = FrameLog(role: .client, limits: WebSocketLimits(maxMessageBytes: 0, maxFragments: 0), compression: Self.agreement(head))
        log.feed(rest)
        isEcho = !Self.isSessionOrError(log.entries.first)
        for entry in log.entries { record(entry) }
    }

    /// Whether two runs on the same bytes had the same result.
    static func == (left: Self, right: Self) -> Bool {
        guard left.head == right.head, left.body == right.body else { return false }
        if left.dependsOnUpstream || right.dependsOnUpstream { return true }
        guard left.close == right.close, left.replies == right.replies, left.pongs == right.pongs else { return false }
        guard left.close != nil else { return left.responses == right.responses && left.audio == right.audio }
        // A close truncates the upstream's responses.
        return Set(left.responses.keys).union(right.responses.keys).allSatisfy { request in
            zip(left.responses[request] ?? [], right.responses[request] ?? []).allSatisfy { $0 == $1 }
        } && zip(left.audio, right.audio).allSatisfy { $0 == $1 }
    }

    private mutating func record(_ entry: FrameLog.Entry) {
        require(close == nil, "nothing is sent after a close frame")
        switch entry {
        case .text(let bytes): record(String(decoding: bytes, as: UTF8.self), bytes)
        case .binary(let bytes):
            lastSequence += 1
            audio += bytes
        case .ping: break
        case .pong(let bytes): pongs.append(bytes)
        case .close(let code, let reason):
            // A correlation id has 26 characters; no word of a close reason does.
            let words: [Substring] = String(decoding: reason, as: UTF8.self).split(separator: " ").filter { $0.count != 26 }
            close = "\(code ?? 0) " + words.joined(separator: " ")
        case .error(let error): require(false, "the gateway's frames are valid: \(error)")
        }
    }

    private mutating func record(_ text: String, _ bytes: [UInt8]) {
        if isEcho { return replies.append(text) }
        require(Self.isJSON(bytes), "a message is JSON: \(text)")
        for word in Self.upstreamWords where text.contains(word) { dependsOnUpstream = true }
        guard let sequence = Self.number(after: "\",\"seq\":", in: text), !text.hasPrefix("{\"type\":\"ack\"") else {
            // A status report contains counters and byte counts, which may differ.
            if text.hasPrefix("{\"type\":\"status\"") { return replies.append("report") }
            return replies.append(Self.redacted(text))
        }
        require(sequence > lastSequence, "sequence numbers increase: \(sequence) after \(lastSequence)")
        require(
            sequence == lastSequence + 1 || mayHaveGap || text.contains("\"cancelled\""), "sequence gaps occur only after a cancellation")
        if text.contains("\"state\":\"cancelled\"") { mayHaveGap = true }
        lastSequence = sequence
        let request = Self.string(after: "\"reply_to\":\"", in: text)
        responses[request, default: []].append(Self.redacted(text.replacing("\"seq\":\(sequence)", with: "\"seq\":", maxReplacements: 1)))
    }

    /// Whether the message is a `session`, or an error in its place. Echoed messages practically never are.
    private static func isSessionOrError(_ entry: FrameLog.Entry?) -> Bool {
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

    /// Removes the values of fields that are random or times.
    private static func redacted(_ text: String) -> String {
        var text = text
        for name in volatileFields {
            guard let range = text.firstRange(of: "\"\(name)\":") else { continue }
            let value = text[range.upperBound...].prefix { $0 != "," && $0 != "}" }
            text.replaceSubrange(value.startIndex..<value.endIndex, with: "")
        }
        return text
    }
}
