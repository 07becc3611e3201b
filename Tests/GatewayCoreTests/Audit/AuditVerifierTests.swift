// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// A hash for tests, which isn't secure. The tests of the server use SHA-256.
@Sendable func testHash(_ bytes: [UInt8]) -> AuditDigest {
    var words: [UInt64] = [0xCBF2_9CE4_8422_2325, 1, 2, 3]
    for byte in bytes {
        for index in words.indices { words[index] = (words[index] ^ UInt64(byte)) &* (0x100_0000_01B3 &+ UInt64(2 * index)) }
    }
    return AuditDigest(bytes: words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) } }) ?? .zero
}

@Suite struct AuditVerifierTests {
    /// Returns the lines of a chain, without line feeds: a `begin` and `count` - 1 connects.
    private static func lines(_ count: Int, after chain: AuditChain = AuditChain(hash: testHash)) -> [[UInt8]] {
        var chain = chain
        return (0..<count).map { index in
            let record = AuditRecord(index == 0 ? .begin : .connect, at: 1000 + Int64(index), who: "ada", from: "192.0.2.\(index):4711")
            let (line, next) = chain.appending(record)
            chain = next
            return Array(line.dropLast())
        }
    }

    private static func verify(_ lines: [[UInt8]], from: AuditDigest? = nil, to: AuditDigest? = nil) -> AuditVerifier {
        var verifier = AuditVerifier(from: from, to: to, hash: testHash)
        for line in lines { verifier.verify(line[...]) }
        verifier.finish()
        return verifier
    }

    private static func text(_ line: [UInt8]) -> String { String(decoding: line, as: UTF8.self) }

    @Test func `an unchanged chain has no findings and ends with its last record`() throws {
        let lines = Self.lines(5)
        let verifier = Self.verify(lines)
        #expect(verifier.findings.isEmpty)
        #expect(verifier.records == 5)
        #expect(verifier.last?.sequence == 5)
        #expect(verifier.start == .zero)
        #expect(verifier.last?.digest == AuditLine(lines[4][...])?.digest)
    }

    @Test(arguments: [0, 7, 12, 30, 60, 90, 140]) func `a changed byte is found as one changed or malformed record`(offset: Int) {
        var lines = Self.lines(5)
        lines[2][offset] ^= 1
        let findings = Self.verify(lines).findings
        #expect(!findings.isEmpty)
        #expect(findings.first == .changed(line: 3, sequence: 3) || findings.first == .malformed(line: 3))
    }

    @Test func `every byte of a record is protected`() {
        let lines = Self.lines(4)
        for offset in lines[1].indices {
            var changed = lines
            changed[1][offset] ^= 1
            #expect(Self.verify(changed).findingCount > 0, "byte \(offset)")
        }
    }

    @Test func `a record that was replaced together with its hash is found by the record after it`() {
        var lines = Self.lines(4)
        var chain = AuditChain(hash: testHash)
        for index in 0..<2 { chain = chain.appending(AuditRecord(index == 0 ? .begin : .connect, at: 0)).chain }
        let second = AuditLine(lines[1][...])
        let forged = AuditChain(after: 2, last: second?.digest ?? .zero, hash: testHash).appending(AuditRecord(.close, at: 5, who: "eve"))
        lines[2] = Array(forged.line.dropLast())
        #expect(Self.verify(lines).findings == [.changed(line: 3, sequence: 3)])
    }

    @Test func `a removed record is found by its number`() {
        var lines = Self.lines(5)
        lines.remove(at: 2)
        #expect(Self.verify(lines).findings == [.removed(3...3)])
    }

    @Test func `several removed records are one gap`() {
        var lines = Self.lines(9)
        lines.removeSubrange(2..<6)
        #expect(Self.verify(lines).findings == [.removed(3...6)])
    }

    @Test func `a record that comes later is out of order, and not missing`() {
        var lines = Self.lines(5)
        lines.swapAt(2, 3)
        #expect(Self.verify(lines).findings == [.reordered(line: 4, sequence: 3)])
    }

    @Test func `a repeated record is found`() {
        var lines = Self.lines(4)
        lines.insert(lines[1], at: 3)
        #expect(Self.verify(lines).findings == [.repeated(line: 4, sequence: 2)])
    }

    @Test func `removed first records are found, because a file begins with begin`() {
        let lines = Array(Self.lines(5).dropFirst(2))
        #expect(Self.verify(lines).findings == [.beginsWithin(sequence: 3)])
    }

    @Test func `the first record must follow the expected hash`() throws {
        let lines = Self.lines(3)
        let first = try #require(AuditLine(lines[0][...]))
        let rest = Array(lines.dropFirst())
        #expect(Self.verify(rest, from: first.digest).findings.isEmpty)
        #expect(Self.verify(rest, from: .zero).findings == [.wrongStart(sequence: 2)])
    }

    @Test func `records removed from the end are found only with the expected last hash`() throws {
        let lines = Self.lines(5)
        let last = try #require(AuditLine(lines[4][...])).digest
        #expect(Self.verify(Array(lines.dropLast())).findings.isEmpty)
        #expect(Self.verify(Array(lines.dropLast()), to: last).findings == [.missingEnd])
        #expect(Self.verify(lines, to: last).findings.isEmpty)
    }

    @Test func `the record of a partial line explains exactly that line`() throws {
        var lines = Self.lines(2)
        let last = try #require(AuditLine(lines[1][...]))
        let partial = Array("{\"seq\":3,\"at\":17".utf8)
        let details = AuditLine.Partial(count: UInt64(partial.count), digest: testHash(partial)).details
        let recover = AuditChain(after: 2, last: last.digest, hash: testHash).appending(AuditRecord(.recover, at: 9, details: details))
        lines += [partial, Array(recover.line.dropLast())]
        #expect(Self.verify(lines).findings.isEmpty)
        var changed = lines
        changed[2][3] ^= 1
        #expect(Self.verify(changed).findings == [.malformed(line: 3)])
        #expect(Self.verify(Array(lines.prefix(3))).findings == [.malformed(line: 3)])
    }

    @Test func `a line with the highest number doesn't overflow`() {
        let chain = AuditChain(after: .max - 1, last: .zero, hash: testHash)
        var lines = Self.lines(2)
        lines.append(Array(chain.appending(AuditRecord(.connect, at: 0)).line.dropLast()))
        #expect(Self.verify(lines).findings == [.removed(3...(.max - 1))])
        #expect("\(AuditVerifier.Finding.removed(3...(.max - 1)))".contains("missing"))
    }

    @Test func `the findings are bounded, and all are counted`() {
        let verifier = Self.verify(Array(repeating: Array("junk".utf8), count: 150))
        #expect(verifier.findings.count == AuditVerifier.maximumFindings)
        #expect(verifier.findingCount == 150)
        #expect(verifier.last == nil)
    }

    // MARK: Encoding

    @Test func `hostile text is escaped to ASCII and truncated`() throws {
        let hostile = "\u{1B}[31m\"\\\n\u{202E}é😀\u{7F}"
        let line = AuditChain(hash: testHash).appending(AuditRecord(.refuse, at: 1, who: hostile)).line
        let end = line.count - 1
        #expect(line[..<end].allSatisfy { (0x20...0x7E).contains($0) })
        #expect(line[end] == 0x0A)
        #expect(Self.text(line).contains(#""who":"\u001b[31m\"\\\u000a\u202e\u00e9\ud83d\ude00\u007f""#))
        let limit = AuditRecord.maximumTextBytes
        for (count, isCut) in [(limit - 1, false), (limit, false), (limit + 1, true)] {
            let record = AuditRecord(.refuse, at: 1, who: String(repeating: "x", count: count))
            #expect(Self.text(AuditChain(hash: testHash).appending(record).line).contains("\\u2026") == isCut)
        }
    }

    @Test func `a record has its fields in a fixed order`() throws {
        let id = try #require(ULID("01ARZ3NDEKTSV4RRFFQ69G5FAV"))
        let record = AuditRecord(
            .close, at: 1_767_323_045_678, who: "ada", from: "192.0.2.1:4711", session: id, connection: id,
            details: [.init("code", 1000), .init("lost", .flag(true)), .init("correlation_id", .id(id))])
        let text = Self.text(AuditChain(after: 41, last: .zero, hash: testHash).appending(record).line)
        let zero = AuditDigest.zero.description
        #expect(
            text.hasPrefix(
                #"{"seq":42,"at":1767323045678,"event":"close","who":"ada","from":"192.0.2.1:4711","session":"01ARZ3NDEKTSV4RRFFQ69G5FAV","#
                    + #""connection":"01ARZ3NDEKTSV4RRFFQ69G5FAV","code":1000,"lost":true,"#
                    + #""correlation_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","prev":""# + zero + #"","hash":""#))
    }

    @Test func `a digest is 64 lowercase hexadecimal digits`() {
        let digits = Array(repeating: UInt8(ascii: "a"), count: 64)
        #expect(AuditDigest(digits: digits) != nil)
        #expect(AuditDigest(digits: digits.dropLast()) == nil)
        #expect(AuditDigest(digits: digits + [UInt8(ascii: "a")]) == nil)
        #expect(AuditDigest(digits: digits.dropLast() + [UInt8(ascii: "A")]) == nil)
        #expect(AuditDigest(digits: digits.dropLast() + [UInt8(ascii: "g")]) == nil)
        #expect(AuditDigest(bytes: [UInt8](repeating: 0xAB, count: 32))?.description == String(repeating: "ab", count: 32))
        #expect(AuditDigest(bytes: [UInt8](repeating: 0xAB, count: 31)) == nil)
    }
}
