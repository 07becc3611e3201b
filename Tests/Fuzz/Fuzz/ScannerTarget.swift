// SPDX-License-Identifier: Apache-2.0

@testable import GatewayCore

/// UTF-8, JSON, message validation, and base64.
///
/// Invariants: The UTF-8 validator agrees with the standard library, however the bytes are split. A scanner that has read thousands of
/// messages returns the same as a new one. A text's length is its count; it is UTF-8 and contains no control characters but TAB and LF. The
/// offset of a fault lies within the message.
final class ScannerTarget: FuzzTarget {
    private static let rules = [
        ValidationRules(), ValidationRules(rejectsUnknownFields: true),
        ValidationRules(maxBytes: 200, maxTextBytes: 20, audioMaxBytes: 30, maxDepth: 3, rejectsUnknownFields: true),
        ValidationRules(maxBytes: 0, maxTextBytes: 0, audioMaxBytes: 0, maxDepth: 0),
    ]
    private final class ReusedScanner {
        var scanner: MessageScanner
        init(_ rules: ValidationRules) { scanner = MessageScanner(rules: rules) }
    }

    private let reusedScanners = ScannerTarget.rules.map { ReusedScanner($0) }

    func run(_ input: FuzzInput) {
        var input = input
        let index = Int(input.byte()) % Self.rules.count
        let split = input.split()
        let bytes = input.bytes
        let isValid = String(validating: bytes, as: UTF8.self) != nil
        require(input.withSpan { Self.isUTF8($0) } == isValid, "the validator agrees with the standard library on the whole")
        require(Self.isUTF8(pieces: split.pieces(of: bytes)) == isValid, "the validator agrees with the standard library on the pieces")
        input.withSpan { span in
            let reused = Self.outcome(of: span, scanner: &reusedScanners[index].scanner, isValid: isValid)
            var fresh = MessageScanner(rules: Self.rules[index])
            require(Self.outcome(of: span, scanner: &fresh, isValid: isValid) == reused, "a reused scanner returns the same as a new one")
            Self.checkBase64(span)
        }
    }

    private static func isUTF8(_ span: RawSpan) -> Bool {
        var validator = UTF8Validator()
        return validator.accept(span) && validator.isComplete
    }

    private static func isUTF8(pieces: [[UInt8]]) -> Bool {
        var validator = UTF8Validator()
        for piece in pieces where !piece.withRawSpan({ validator.accept($0) }) { return false }
        return validator.isComplete
    }

    /// Returns the result of scanning a message, as bytes to compare.
    private static func outcome(of span: RawSpan, scanner: inout MessageScanner, isValid: Bool) -> [UInt8] {
        do throws(MessageFault) {
            var digest = MessageDigest(isValid: isValid)
            digest.add(try scanner.scan(span), in: span)
            return digest.bytes
        } catch {
            require((0...span.byteCount).contains(error.offset ?? 0), "the fault's offset lies within the message")
            let location = "\(error.param ?? "") \(error.replyTo?.description ?? "") \(error.offset ?? -1)"
            return Array("\(error.reason.code.rawValue) \(error.reason.message) \(location)".utf8)
        }
    }

    private static func checkBase64(_ span: RawSpan) {
        var decoded: [UInt8] = [7]
        let isDecoded = Base64.decode(span, into: &decoded)
        require(isDecoded == Base64.isValid(span), "base64 decodes if and only if it is valid")
        require(decoded.count == 1 + (isDecoded ? Base64.decodedCount(of: span) ?? -1 : 0), "the decoded length is the computed one")
    }
}
