import Foundation
package import NIOHTTP1

/// An answer by HTTP to the request for a WebSocket, as a rule problem+json (RFC 9457).
package struct HTTPRefusal: Sendable {
    /// What is kept of a body, in bytes.
    package static let maximumBodyBytes = 64 * 1024

    /// The members of the problem that Parley fills in. A body that isn't a problem leaves all of them nil.
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
    /// The words behind the status.
    package var phrase: String
    package var headers: HTTPHeaders
    package var body: [UInt8]
    package var problem: Problem

    package init(_ head: HTTPResponseHead, body: [UInt8]) {
        status = Int(head.status.code)
        phrase = head.status.reasonPhrase
        headers = head.headers
        self.body = body
        problem = (try? JSONDecoder().decode(Problem.self, from: Data(body))) ?? Problem()
    }
}

extension HTTPRefusal: CustomStringConvertible {
    package var description: String {
        var text = "refused with \(status) \(phrase)"
        if let code = problem.code { text += ", \(code)" }
        if let detail = problem.detail { text += ": \(detail)" }
        var notes: [String] = []
        if let wait = headers.first(name: "Retry-After") { notes.append("retry after \(wait) s") }
        if let id = problem.correlationID { notes.append("correlation id \(id)") }
        return notes.isEmpty ? text : text + " (\(notes.joined(separator: ", ")))"
    }
}
