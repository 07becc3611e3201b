import GatewayCore

/// Counts the bytes and lines of a request head before the parser sees them, so that a head over the limits is refused instead of kept.
///
/// A value: bytes go in as they come, whatever the pieces, and the verdict is the same.
package struct RequestHeadLimits: Sendable {
    package enum Verdict: Equatable, Sendable {
        case incomplete
        /// The empty line has come; what follows isn't counted.
        case complete
        case tooLarge
    }

    private let maximumBytes: Int
    private let maximumFields: Int
    private var bytes = 0
    private var lines = 0
    /// Whether the line being read has a character yet.
    private var isLineEmpty = true
    package private(set) var verdict = Verdict.incomplete

    /// - Parameters:
    ///   - maximumBytes: `http.max_header_bytes`, request line and empty line included
    ///   - maximumFields: `http.max_headers`
    package init(maximumBytes: Int, maximumFields: Int) {
        self.maximumBytes = maximumBytes
        self.maximumFields = maximumFields
    }

    @discardableResult
    package mutating func count(_ span: RawSpan) -> Verdict {
        _ = take(span)
        return verdict
    }

    /// Counts, and tells how many of these bytes belong to the head: all of them, those up to its empty line, or those before the one that
    /// is too much.
    package mutating func take(_ span: RawSpan) -> Int {
        guard verdict == .incomplete else { return 0 }
        for index in 0..<span.byteCount {
            bytes += 1
            if bytes > maximumBytes {
                verdict = .tooLarge
                return index
            }
            switch span.byte(at: index) {
            case 0x0A:
                if isLineEmpty, lines > 0 {
                    verdict = .complete
                    return index + 1
                }
                if !isLineEmpty { lines += 1 }
                // The request line isn't a field.
                if lines - 1 > maximumFields {
                    verdict = .tooLarge
                    return index
                }
                isLineEmpty = true
            case 0x0D: break
            default: isLineEmpty = false
            }
        }
        return span.byteCount
    }
}
