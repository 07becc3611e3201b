// SPDX-License-Identifier: Apache-2.0

/// Verifies a chain of audit records line by line. Several files are verified as one chain, the oldest first.
package struct AuditVerifier: Sendable {
    /// A violation of the chain.
    package enum Finding: Sendable, Equatable {
        /// The record's hash isn't that of its bytes, or the record after it names another hash.
        case changed(line: UInt64, sequence: UInt64)
        /// The line isn't a record.
        case malformed(line: UInt64)
        /// No line has a record with these numbers.
        case removed(ClosedRange<UInt64>)
        /// The record comes after one with a higher number.
        case reordered(line: UInt64, sequence: UInt64)
        /// A second record has this number.
        case repeated(line: UInt64, sequence: UInt64)
        /// The first record isn't the first of a file: records before it were removed.
        case beginsWithin(sequence: UInt64)
        /// The first record doesn't follow the expected hash.
        case wrongStart(sequence: UInt64)
        /// No record has the expected hash: the records up to that one were removed from the end.
        case missingEnd
    }

    /// The maximum number of ``findings``; further ones are only counted.
    package static let maximumFindings = 100

    /// The maximum number of gaps that are remembered in case their records follow out of order.
    private static let maximumGaps = 1000

    package private(set) var findings: [Finding] = []
    /// The number of findings, also of those beyond ``maximumFindings``.
    package private(set) var findingCount = 0
    /// The number of records.
    package private(set) var records: UInt64 = 0
    /// The record with the highest number; nil before the first.
    package private(set) var last: (sequence: UInt64, digest: AuditDigest, at: Int64)?
    /// The hash that the first record names as its predecessor's.
    package private(set) var start: AuditDigest?
    /// The numbers of missing records.
    private var missing: [ClosedRange<UInt64>] = []
    /// A line that isn't a record, which the next record may explain.
    private var unexplained: (line: UInt64, partial: AuditLine.Partial)?
    private var lines: UInt64 = 0
    private let from: AuditDigest?
    private let to: AuditDigest?
    private var hasReachedEnd: Bool
    private let hash: AuditChain.Hash

    /// - Parameters:
    ///   - from: the hash that the first record must name as its predecessor's; nil accepts any
    ///   - to: the hash that a record must have; nil requires none
    package init(from: AuditDigest? = nil, to: AuditDigest? = nil, hash: @escaping AuditChain.Hash) {
        self.from = from
        self.to = to
        self.hash = hash
        hasReachedEnd = to == nil || to == from
    }

    /// Verifies the next line.
    ///
    /// - Parameter line: the line without its line feed
    package mutating func verify(_ line: ArraySlice<UInt8>) {
        lines &+= 1
        guard let record = AuditLine(line) else {
            reportUnexplained()
            unexplained = (lines, AuditLine.Partial(count: UInt64(line.count), digest: hash(Array(line))))
            return
        }
        if let unexplained, record.partial == unexplained.partial { self.unexplained = nil }
        reportUnexplained()
        records &+= 1
        let isIntact = hash(Array(line.prefix(record.hashedCount))) == record.digest
        guard isIntact else {
            let expected = last.map { $0.sequence &+ 1 } ?? record.sequence
            report(.changed(line: lines, sequence: expected))
            if last == nil { start = record.previous }
            // The number may be changed, too. The next record is checked against the hash that this one claims.
            last = (expected, record.digest, record.at)
            return
        }
        if record.digest == to { hasReachedEnd = true }
        check(record)
    }

    /// Reports records that are still missing after the last line.
    package mutating func finish() {
        reportUnexplained()
        for range in missing { report(.removed(range)) }
        missing = []
        if !hasReachedEnd { report(.missingEnd) }
    }

    private mutating func check(_ record: AuditLine) {
        guard let last else {
            start = record.previous
            if let from, record.previous != from {
                report(.wrongStart(sequence: record.sequence))
            } else if from == nil, !record.event.elementsEqual("begin".utf8) {
                report(.beginsWithin(sequence: record.sequence))
            }
            return advance(to: record)
        }
        let expected = last.sequence &+ 1
        if record.sequence == expected {
            // If its own bytes are intact, the record before this one was replaced together with its hash.
            if record.previous != last.digest { report(.changed(line: lines &- 1, sequence: last.sequence)) }
        } else if record.sequence > expected {
            let range = expected...(record.sequence - 1)
            if missing.count < Self.maximumGaps { missing.append(range) } else { report(.removed(range)) }
        } else {
            guard let index = missing.firstIndex(where: { $0.contains(record.sequence) }) else {
                return report(.repeated(line: lines, sequence: record.sequence))
            }
            split(index, at: record.sequence)
            return report(.reordered(line: lines, sequence: record.sequence))
        }
        advance(to: record)
    }

    private mutating func advance(to record: AuditLine) { last = (record.sequence, record.digest, record.at) }

    private mutating func split(_ index: Int, at sequence: UInt64) {
        let range = missing.remove(at: index)
        if sequence < range.upperBound { missing.insert((sequence + 1)...range.upperBound, at: index) }
        if sequence > range.lowerBound { missing.insert(range.lowerBound...(sequence - 1), at: index) }
    }

    private mutating func reportUnexplained() {
        guard let unexplained else { return }
        self.unexplained = nil
        report(.malformed(line: unexplained.line))
    }

    private mutating func report(_ finding: Finding) {
        findingCount += 1
        if findings.count < Self.maximumFindings { findings.append(finding) }
    }
}

extension AuditVerifier.Finding: CustomStringConvertible {
    package var description: String {
        switch self {
        case .changed(let line, let sequence): "line \(line): record \(sequence) was changed"
        case .malformed(let line): "line \(line): not a record"
        case .removed(let range):
            range.lowerBound == range.upperBound
                ? "record \(range.lowerBound) is missing" : "records \(range.lowerBound) to \(range.upperBound) are missing"
        case .reordered(let line, let sequence): "line \(line): record \(sequence) is out of order"
        case .repeated(let line, let sequence): "line \(line): record \(sequence) is repeated"
        case .beginsWithin(let sequence): "the first record is \(sequence), which doesn't begin a file: earlier records are missing"
        case .wrongStart(let sequence): "record \(sequence) doesn't follow the hash of --from-hash"
        case .missingEnd: "no record has the hash of --to-hash: records at the end are missing"
        }
    }
}
