// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// A message's contents, concatenated for comparison and read through the accessors that the gateway uses.
struct MessageDigest {
    private(set) var bytes: [UInt8] = []
    /// Whether the message is valid UTF-8, as all messages that the gateway passes to a scanner are.
    let isValid: Bool

    init(isValid: Bool) { self.isValid = isValid }

    mutating func add(_ message: ClientMessage, in span: RawSpan) {
        switch message {
        case .ping(let id, let ts):
            add("ping", id)
            if let ts { ts.append(to: &bytes, from: span) }
        case .text(let text):
            add("text", text.id)
            add(text.text, in: span)
            add(text.lang, in: span)
            add(text.output, in: span)
            add(text.meta, in: span)
            bytes.append(text.stream ? "true" : "false" as StaticString)
        case .audioOpen(let open):
            add("audio", open.id)
            add(open.format)
            add(open.lang, in: span)
            add(open.output, in: span)
            add(open.meta, in: span)
            add(open.data, in: span)
            if let data = open.data {
                var decoded: [UInt8] = []
                require(Base64.decode(data, from: span, into: &decoded) || !isValid, "accepted data is valid base64")
            }
        case .audioEnd(let id): add("end", id)
        case .audioFrom(let id, let chunk):
            add("from", id)
            bytes.append(decimal: chunk)
        case .status(let status):
            add("status", status.id)
            bytes.append(contentsOf: (status.state?.rawValue ?? "").utf8)
            add("reply_to", status.replyTo)
            bytes.append(decimal: status.playedMilliseconds ?? -1)
        case .cancel(let id, let reason, let played):
            add("cancel", id)
            add(reason, in: span)
            bytes.append(decimal: played ?? -1)
        case .ack(let sequence): bytes.append(decimal: sequence)
        case .auth(let token): add(token, in: span)
        case .bye: bytes.append("bye")
        }
    }

    private mutating func add(_ name: StaticString, _ id: MessageID?) {
        bytes.append(name)
        if let id { bytes.append(quoted: id) }
    }

    private mutating func add(_ slice: TextSlice?, in span: RawSpan) {
        guard let slice else { return bytes.append("-") }
        let text = slice.bytes(in: span)
        if isValid {
            require(text.count == slice.count, "a text's length is the count that limits were checked against")
            guard let string = String(validating: text, as: UTF8.self) else { return require(false, "a text is UTF-8") }
            require(
                string.unicodeScalars.allSatisfy { $0 == "\t" || $0 == "\n" || $0.properties.generalCategory != .control },
                "a text contains no control characters but TAB and LF")
        }
        bytes.append(jsonString: text)
    }

    private mutating func add(_ output: ClientMessage.Output?, in span: RawSpan) {
        guard let output else { return }
        bytes.append(output.text ? "true" : "false" as StaticString)
        bytes.append(output.audio ? "true" : "false" as StaticString)
        if let format = output.format { add(format) }
        add(output.voice, in: span)
    }

    private mutating func add(_ format: AudioFormat) {
        require(AudioFormat.rates.contains(format.rate) && AudioFormat.channelCounts.contains(format.channels), "a format is supported")
        bytes.append(contentsOf: "\(format.codec.rawValue) \(format.rate) \(format.channels)".utf8)
    }

    private mutating func add(_ meta: [ClientMessage.MetaEntry], in span: RawSpan) {
        require(meta.count <= 16, "meta has at most 16 entries")
        for entry in meta {
            add(entry.key, in: span)
            add(entry.value, in: span)
        }
    }
}
