import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// A refusal of the operations listener: `application/problem+json` (RFC 9457) with `code` and `correlation_id`.
struct OperationsProblem: Error {
    var status: HTTPResponse.Status
    var code: ErrorCode
    /// One sentence for people.
    var detail: String
    /// A list of what is wrong, when there is more than one thing.
    var problems: [String] = []
    /// Fields that belong to the status: `WWW-Authenticate`, `Allow`.
    var fields = HTTPFields()
    /// The connection closes behind the answer.
    var closes = false

    /// The answer.
    ///
    /// - Parameter correlationID: the one that the log line about the request carries.
    func response(correlationID: ULID) -> Response {
        var body = Array("{\"type\":\"about:blank\",\"title\":\"".utf8)
        SafeText.append(status.reasonPhrase, to: &body)
        body.append(contentsOf: "\",\"status\":\(status.code),\"detail\":\"".utf8)
        SafeText.append(detail, to: &body)
        body.append(contentsOf: "\",\"code\":\"\(code.rawValue)\",\"correlation_id\":\"".utf8)
        correlationID.append(to: &body)
        body.append(UInt8(ascii: "\""))
        if !problems.isEmpty {
            body.append(contentsOf: ",\"problems\":[".utf8)
            for (index, problem) in problems.enumerated() {
                if index > 0 { body.append(UInt8(ascii: ",")) }
                body.append(UInt8(ascii: "\""))
                SafeText.append(problem, to: &body)
                body.append(UInt8(ascii: "\""))
            }
            body.append(UInt8(ascii: "]"))
        }
        body.append(UInt8(ascii: "}"))
        var response = Response(status: status, headers: fields, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
        response.headers[.contentType] = "application/problem+json"
        if closes { response.headers[.connection] = "close" }
        return response
    }
}
