// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The limits of a request head, enforced before the HTTP parser, so that an oversized head is rejected instead of buffered.
///
/// The verdict doesn't depend on how the bytes are split.
package struct RequestHeadLimits: Sendable {
    package enum Verdict: Equatable, Sendable {
        case incomplete
        /// The empty line was received. Bytes after it aren't counted.
        case complete
        case tooLarge
    }

    private let maximumBytes: Int
    private let maximumFields: Int
    private var bytes = 0
    private var lines = 0
    /// Whether the current line is empty so far.
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
        _ = consume(span)
        return verdict
    }

    /// Counts bytes until the verdict.
    ///
    /// - Returns: the number of bytes that belong to the head: all, those up to the empty line, or those before the byte that exceeds a
    ///   limit.
    package mutating func consume(_ span: RawSpan) -> Int {
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
