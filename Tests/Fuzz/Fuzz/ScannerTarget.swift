@testable import GatewayCore

/// UTF-8, JSON, the shapes of messages, and base64.
///
/// Promises: a validator's verdict is that of the standard library, whatever the pieces. A scanner that has read thousands of messages
/// says what a new one says. A text that was measured has its measure, is UTF-8, and holds no control but TAB and LF. A fault lies within the message.
final class ScannerTarget: FuzzTarget {
    private static let rules = [
        ValidationRules(), ValidationRules(rejectsUnknownFields: true),
        ValidationRules(maxBytes: 200, maxTextBytes: 20, audioMaxBytes: 30, maxDepth: 3, rejectsUnknownFields: true),
        ValidationRules(maxBytes: 0, maxTextBytes: 0, audioMaxBytes: 0, maxDepth: 0),
    ]
    private final class Kept {
        var scanner: MessageScanner
        init(_ rules: ValidationRules) { scanner = MessageScanner(rules: rules) }
    }

    private let kept = ScannerTarget.rules.map { Kept($0) }

    func run(_ input: FuzzInput) {
        var input = input
        let index = Int(input.byte()) % Self.rules.count
        let split = input.split()
        let bytes = input.bytes
        let isValid = String(validating: bytes, as: UTF8.self) != nil
        require(input.withSpan { Self.isUTF8($0) } == isValid, "UTF-8 as a whole")
        require(Self.isUTF8(pieces: split.pieces(of: bytes)) == isValid, "UTF-8 in pieces")
        input.withSpan { span in
            let lasting = Self.outcome(of: span, scanner: &kept[index].scanner, isValid: isValid)
            var fresh = MessageScanner(rules: Self.rules[index])
            require(Self.outcome(of: span, scanner: &fresh, isValid: isValid) == lasting, "a scanner doesn't remember")
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

    /// What came of a message, as bytes to compare.
    private static func outcome(of span: RawSpan, scanner: inout MessageScanner, isValid: Bool) -> [UInt8] {
        do throws(MessageFault) {
            var digest = MessageDigest(isValid: isValid)
            digest.add(try scanner.scan(span), in: span)
            return digest.bytes
        } catch {
            require((0...span.byteCount).contains(error.offset ?? 0), "a fault lies within the message")
            let place = "\(error.param ?? "") \(error.replyTo?.description ?? "") \(error.offset ?? -1)"
            return Array("\(error.reason.code.rawValue) \(error.reason.message) \(place)".utf8)
        }
    }

    private static func checkBase64(_ span: RawSpan) {
        var decoded: [UInt8] = [7]
        let isDecoded = Base64.decode(span, into: &decoded)
        require(isDecoded == Base64.isValid(span), "what is valid base64 can be decoded")
        require(decoded.count == 1 + (isDecoded ? Base64.decodedCount(of: span) ?? -1 : 0), "base64 has its measure")
    }
}
