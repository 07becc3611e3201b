// SPDX-License-Identifier: Apache-2.0

extension MessageScanner {
    /// Parses an `audio` message in one of its shapes (protocol page, section "Audio"). `final: false` counts as absent.
    mutating func audio(_ bytes: RawSpan) throws(MessageFault) -> ClientMessage {
        let id = try requiredID(in: bytes)
        let isFinal = try flag(.final, in: bytes) ?? false
        let from = try count(.from, from: 1, in: bytes)
        let language = try language(in: bytes)
        let format = try audioFormat(format, value: fields[.format], in: "/format", bytes)
        let output = try requestedOutput(bytes)
        let meta = try metaEntries(bytes)

        if let from {
            guard !isFinal, format == nil, fields[.data] == nil else {
                throw fault(.conflictingFrom, field: .from, in: bytes)
            }
            return .audioFrom(id: id, chunk: from)
        }
        guard let format else {
            if isFinal && fields[.data] == nil { return .audioEnd(id: id) }
            throw fault(.missingFormat, field: .format, in: bytes)
        }
        var open = ClientMessage.AudioOpen(id: id, format: format, lang: language, output: output, meta: meta, data: nil)
        guard let data = fields[.data] else {
            if isFinal { throw fault(.missingData, field: .data, in: bytes) }
            return .audioOpen(open)
        }
        guard isFinal else {
            throw fault(.missingFinal, field: .final, in: bytes)
        }
        open.data = try recording(data, format: format, bytes)
        return .audioOpen(open)
    }

    /// Validates a recording, and returns its base64 text.
    private mutating func recording(_ data: JSONValue, format: AudioFormat, _ bytes: RawSpan) throws(MessageFault) -> TextSlice {
        guard data.kind == .string else { throw fault(.dataNotString, field: .data, in: bytes) }
        // Too long with any padding: rejected without unescaping.
        guard data.count / 4 * 3 - 2 <= rules.audioMaxBytes else { throw tooLarge(bytes) }
        let decodedCount = withText(data, in: bytes) { Base64.isValid($0) ? Base64.decodedCount(of: $0) : nil }
        guard let count = decodedCount, count > 0 else {
            throw fault(.invalidBase64, field: .data, in: bytes)
        }
        guard count <= rules.audioMaxBytes else { throw tooLarge(bytes) }
        guard count % format.frameBytes == 0 else {
            throw fault(.partialSamples, field: .data, in: bytes)
        }
        return data.text
    }

    private func tooLarge(_ bytes: RawSpan) -> MessageFault {
        fault(.recordingTooLarge, field: .data, in: bytes)
    }
}
