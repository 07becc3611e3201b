// SPDX-License-Identifier: Apache-2.0

import Foundation
package import NIOHTTP1

/// An HTTP response that rejects the upgrade, usually with a problem document (RFC 9457).
package struct UpgradeRejection: Sendable {
    /// Maximum bytes kept of the body.
    package static let maximumBodyBytes = 64 * 1024

    /// The members of a problem document that Parley sends; all nil for any other body.
    package struct Problem: Sendable, Decodable, Hashable {
        package var title: String?
        package var detail: String?
        package var code: String?
        package var correlationID: String?

        private enum CodingKeys: String, CodingKey {
            case title, detail, code
            case correlationID = "correlation_id"
        }
    }

    package var status: Int
    /// The reason phrase after the status.
    package var phrase: String
    package var headers: HTTPHeaders
    package var body: [UInt8]
    package var problem: Problem

    /// The delay of `Retry-After`, at most a day. A date would have to be compared with the local clock, which may be wrong.
    package var retryAfter: Duration {
        let seconds = headers.first(name: "Retry-After").flatMap { Int($0) } ?? 0
        return .seconds(min(max(0, seconds), 86_400))
    }

    package init(_ head: HTTPResponseHead, body: [UInt8]) {
        status = Int(head.status.code)
        phrase = head.status.reasonPhrase
        headers = head.headers
        self.body = body
        problem = (try? JSONDecoder().decode(Problem.self, from: Data(body))) ?? Problem()
    }
}

extension UpgradeRejection: CustomStringConvertible {
    package var description: String {
        var text = "rejected with \(status) \(phrase)"
        if let code = problem.code { text += ", \(code)" }
        if let detail = problem.detail { text += ": \(detail)" }
        var notes: [String] = []
        if let wait = headers.first(name: "Retry-After") { notes.append("retry after \(wait) s") }
        if let id = problem.correlationID { notes.append("correlation id \(id)") }
        return notes.isEmpty ? text : text + " (\(notes.joined(separator: ", ")))"
    }
}
