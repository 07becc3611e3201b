// SPDX-License-Identifier: Apache-2.0

/// The reason why an ``HTTPFetch`` has no response. The descriptions are messages for users and contain nothing of the response.
package enum HTTPFetchError: Error, Sendable, Hashable {
    /// The name has no address, or connecting failed; with the system's message.
    case cannotConnect(String)
    /// The TLS handshake or a record failed, or the server's certificate isn't accepted.
    case tls(String)
    /// The response wasn't complete within this time.
    case timedOut(Duration)
    /// The connection closed before the response was complete.
    case closed
    /// The connection failed, with the system's message.
    case lost(String)
    case notHTTP
    /// A header field, or all of them, or the number of informational responses exceed a limit.
    case headTooLong
    /// The body exceeds this limit, in bytes.
    case bodyTooLong(Int)
    case status(UInt)
    case redirect(UInt)
    /// The body has a content coding, such as `gzip`, although none was offered.
    case contentCoding
    /// The task of the exchange was cancelled.
    case cancelled
}

extension HTTPFetchError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .cannotConnect(let reason): "can't connect: \(reason)"
        case .tls(let reason), .lost(let reason): reason
        case .timedOut(let limit): "no complete response within \(ConfigurationNotation.text(limit))"
        case .closed: "the connection was closed before the response was complete"
        case .notHTTP: "the response isn't HTTP"
        case .headTooLong: "the response's head is too long"
        case .bodyTooLong(let limit): "the response exceeds \(ConfigurationNotation.text(size: limit))"
        case .status(let status): "the server responded with status \(status)"
        case .redirect(let status): "the server redirects (status \(status)); redirects aren't followed, configure the final URL"
        case .contentCoding: "the response has a content coding that wasn't offered"
        case .cancelled: "cancelled"
        }
    }
}
