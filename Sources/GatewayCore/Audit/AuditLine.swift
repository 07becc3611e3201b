// SPDX-License-Identifier: Apache-2.0

/// The fields of an encoded audit record that the chain consists of, read from their fixed places in the line.
package struct AuditLine: Sendable, Equatable {
    package let sequence: UInt64
    /// Unix milliseconds.
    package let at: Int64
    /// The name of the event.
    package let event: [UInt8]
    package let previous: AuditDigest
    package let digest: AuditDigest
    /// The number of bytes at the start of the line that ``digest`` is computed of.
    package let hashedCount: Int
    /// The partial line before a record of ``AuditEvent/recover``; nil for other records.
    package let partial: Partial?

    /// A partial line that an interrupted write left.
    package struct Partial: Sendable, Equatable {
        package var count: UInt64
        package var digest: AuditDigest

        package init(count: UInt64, digest: AuditDigest) {
            self.count = count
            self.digest = digest
        }

        /// The details of the record, in the order in which a line has them.
        package var details: [AuditRecord.Detail] {
            [.init("partial_bytes", count), .init("partial_sha256", digest.description)]
        }
    }

    /// The maximum size of a line in bytes. Records are far shorter.
    package static let maximumBytes = 16_384

    /// - Parameter line: the line without its line feed
    /// - Returns: nil if the line isn't a record
    package init?(_ line: ArraySlice<UInt8>) {
        // ,"prev":"…","hash":"…"}
        let prev = Array(",\"prev\":\"".utf8)
        let hash = Array("\",\"hash\":\"".utf8)
        let digits = AuditDigest.digitCount
        let tail = prev.count + digits + hash.count + digits + 2
        guard line.count > tail, line.count <= Self.maximumBytes else { return nil }
        var rest = line.suffix(tail)
        guard rest.starts(with: prev) else { return nil }
        rest = rest.dropFirst(prev.count)
        guard let previous = AuditDigest(digits: rest.prefix(digits)) else { return nil }
        rest = rest.dropFirst(digits)
        guard rest.starts(with: hash) else { return nil }
        rest = rest.dropFirst(hash.count)
        guard let digest = AuditDigest(digits: rest.prefix(digits)), rest.dropFirst(digits).elementsEqual("\"}".utf8) else { return nil }
        hashedCount = line.count - tail + prev.count + digits + 1
        (self.previous, self.digest) = (previous, digest)

        var head = line
        guard let sequence = Self.number(after: "{\"seq\":", in: &head),
            let at = Self.number(after: ",\"at\":", in: &head), head.starts(with: ",\"event\":\"".utf8)
        else { return nil }
        self.sequence = sequence
        self.at = Int64(clamping: at)
        head = head.dropFirst(",\"event\":\"".utf8.count)
        event = Array(head.prefix { $0 != UInt8(ascii: "\"") })
        head = head.dropFirst(event.count + 1)
        guard event.elementsEqual("recover".utf8) else {
            partial = nil
            return
        }
        let name = ",\"partial_sha256\":\""
        guard let count = Self.number(after: ",\"partial_bytes\":", in: &head), head.starts(with: name.utf8),
            let partialDigest = AuditDigest(digits: head.dropFirst(name.utf8.count).prefix(digits))
        else { return nil }
        partial = Partial(count: count, digest: partialDigest)
    }

    /// Returns the time of a record in Unix milliseconds, without checking the rest of the line; nil if the line isn't a record.
    package static func time(of line: ArraySlice<UInt8>) -> Int64? {
        var head = line
        guard number(after: "{\"seq\":", in: &head) != nil, let at = number(after: ",\"at\":", in: &head), line.last == UInt8(ascii: "}")
        else { return nil }
        return Int64(clamping: at)
    }

    /// Removes a name and the decimal number after it from the start of `text`.
    private static func number(after name: String, in text: inout ArraySlice<UInt8>) -> UInt64? {
        guard text.starts(with: name.utf8) else { return nil }
        text = text.dropFirst(name.utf8.count)
        let digits = text.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard !digits.isEmpty, digits.count <= 20, let number = UInt64(String(decoding: digits, as: UTF8.self)) else { return nil }
        text = text.dropFirst(digits.count)
        return number
    }
}
