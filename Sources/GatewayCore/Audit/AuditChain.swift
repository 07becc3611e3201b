// SPDX-License-Identifier: Apache-2.0

/// The end of a chain of audit records: it encodes the next record, which names the hash of the last one.
///
/// A record is one line of JSON in ASCII. Its hash is the SHA-256 of the line's bytes before `,"hash":`, so that a record can be verified
/// without parsing the JSON.
package struct AuditChain: Sendable {
    /// Computes the SHA-256 of bytes.
    package typealias Hash = @Sendable ([UInt8]) -> AuditDigest

    /// The number of the last record; 0 before the first.
    package private(set) var sequence: UInt64
    /// The hash of the last record; zero before the first.
    package private(set) var last: AuditDigest
    private let hash: Hash

    package init(after sequence: UInt64 = 0, last: AuditDigest = .zero, hash: @escaping Hash) {
        self.sequence = sequence
        self.last = last
        self.hash = hash
    }

    /// Encodes a record as the next of the chain, including the line feed.
    ///
    /// - Returns: the line, and the chain whose last record it is
    package func appending(_ record: AuditRecord) -> (line: [UInt8], chain: AuditChain) {
        let next = sequence &+ 1
        var line: [UInt8] = []
        line.reserveCapacity(512)
        line.append(ascii: "{\"seq\":")
        line.append(contentsOf: next.description.utf8)
        line.append(ascii: ",\"at\":")
        line.append(contentsOf: record.at.description.utf8)
        line.append(ascii: ",\"event\":\"")
        line.append(ascii: record.event.name)
        line.append(ascii: "\"")
        for detail in record.details where record.event == .recover { line.append(detail) }
        if let who = record.who { line.append(.init("who", who)) }
        if let from = record.from { line.append(.init("from", from)) }
        if let session = record.session { line.append(.init("session", .id(session))) }
        if let connection = record.connection { line.append(.init("connection", .id(connection))) }
        for detail in record.details where record.event != .recover { line.append(detail) }
        line.append(ascii: ",\"prev\":\"")
        line.append(contentsOf: last.digits)
        line.append(ascii: "\"")
        let digest = hash(line)
        line.append(ascii: ",\"hash\":\"")
        line.append(contentsOf: digest.digits)
        line.append(ascii: "\"}\n")
        return (line, AuditChain(after: next, last: digest, hash: hash))
    }
}

extension [UInt8] {
    fileprivate mutating func append(ascii text: StaticString) { append(contentsOf: text.description.utf8) }

    fileprivate mutating func append(_ detail: AuditRecord.Detail) {
        append(ascii: ",\"")
        append(ascii: detail.name)
        append(ascii: "\":")
        switch detail.value {
        case .text(let text): append(quoted: text)
        case .number(let number): append(contentsOf: number.description.utf8)
        case .flag(let flag): append(ascii: flag ? "true" : "false")
        case .id(let id): append(quoted: id.description)
        }
    }

    /// Appends a JSON string in ASCII, truncated to ``AuditRecord/maximumTextBytes``: a terminal can't be confused by the text.
    private mutating func append(quoted text: String) {
        append(ascii: "\"")
        var size = 0
        for scalar in text.unicodeScalars {
            size += UTF8.width(scalar)
            guard size <= AuditRecord.maximumTextBytes else {
                append(ascii: "\\u2026")
                break
            }
            switch scalar {
            case "\"": append(ascii: "\\\"")
            case "\\": append(ascii: "\\\\")
            case " "..."~": append(UInt8(truncatingIfNeeded: scalar.value))
            default: for unit in UTF16.encode(scalar) ?? .init() { append(escaped: unit) }
            }
        }
        append(ascii: "\"")
    }

    private mutating func append(escaped unit: UInt16) {
        append(ascii: "\\u")
        for shift in [12, 8, 4, 0] as [UInt16] {
            let digit = UInt8(truncatingIfNeeded: unit >> shift & 0xF)
            append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") - 10 + digit)
        }
    }
}
