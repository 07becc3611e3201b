// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayWebSocket

/// The taps of operators on the messages of the session.
extension SessionDriver {
    package var isTapped: Bool { !taps.isEmpty }

    /// Adds a tap. Returns false if the session has ``SessionTap/maximumTaps`` taps.
    func add(_ tap: SessionTap) -> Bool {
        removeEndedTaps()
        guard taps.count < SessionTap.maximumTaps else { return false }
        taps.append(tap)
        return true
    }

    /// Removes the taps whose operators have closed the connection.
    private func removeEndedTaps() { taps.removeAll(where: \.isEnded) }

    func endTaps() {
        for tap in taps { tap.end() }
        taps = []
    }

    /// Adds a received message to the taps.
    func tapInput(_ kind: MessageKind, _ payload: RawSpan) {
        guard kind == .text else { return tap(.in, "binary", payload, hasContent: false) }
        do throws(MessageFault) {
            let type = try loop.scanner.scan(payload).typeName
            tap(.in, type, payload, hasContent: type != "auth")
        } catch {
            // The content may be that of an `auth` message with an error.
            tap(.in, "invalid", payload, hasContent: false)
        }
    }

    /// Adds a sent message that isn't sequenced to the taps.
    package func tapReply(_ message: RawSpan) {
        let type = OutgoingType.name(in: message)
        tap(.out, type, message, hasContent: type != "session" && type != "auth")
    }

    /// Adds a message of the outbox to the taps.
    func tapOutput(_ message: RawSpan, _ tag: Outbox.Tag) {
        let isBinary = tag.kind == .binary
        tap(.out, isBinary ? "binary" : OutgoingType.name(in: message), message, hasContent: !isBinary, sequence: tag.sequence)
    }

    private func tap(
        _ direction: SessionTap.Frame.Direction, _ type: String, _ message: RawSpan, hasContent: Bool, sequence: UInt64? = nil
    ) {
        removeEndedTaps()
        var frame = SessionTap.Frame(
            at: loop.effects.wall, direction: direction, type: type, size: message.byteCount, sequence: sequence)
        for tap in taps where !(tap.includesContent && hasContent) { tap.add(frame) }
        guard hasContent, taps.contains(where: \.includesContent) else { return }
        let count = min(message.byteCount, SessionTap.maximumContentBytes)
        frame.isTruncated = count < message.byteCount
        var bytes: [UInt8] = []
        bytes.append(bytesOf: message.extracting(first: count))
        // Cut at a boundary of a UTF-8 sequence: an incomplete sequence would become U+FFFD.
        if frame.isTruncated {
            while let last = bytes.popLast() { if last & 0xC0 != 0x80 { break } }
        }
        frame.content = String(decoding: bytes, as: UTF8.self)
        for tap in taps where tap.includesContent { tap.add(frame) }
    }
}

extension ClientMessage {
    /// The value of `type`.
    fileprivate var typeName: String {
        switch self {
        case .ping: "ping"
        case .text: "text"
        case .audioOpen, .audioEnd, .audioFrom: "audio"
        case .status: "status"
        case .cancel: "cancel"
        case .ack: "ack"
        case .auth: "auth"
        case .bye: "bye"
        }
    }
}

/// The type of a message that the gateway has written.
private enum OutgoingType {
    private static let prefix = Array("{\"type\":\"".utf8)

    /// Returns the value of `type`, which ``OutgoingMessage`` writes first.
    static func name(in message: RawSpan) -> String {
        guard message.byteCount > prefix.count, prefix.indices.allSatisfy({ message.byte(at: $0) == prefix[$0] }) else { return "unknown" }
        var name: [UInt8] = []
        for index in prefix.count..<min(message.byteCount, prefix.count + 16) {
            let byte = message.byte(at: index)
            if byte == UInt8(ascii: "\"") { break }
            name.append(byte)
        }
        return String(decoding: name, as: UTF8.self)
    }
}
