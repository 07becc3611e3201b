// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// An error response of the operations listener: `application/problem+json` (RFC 9457) with `code` and `correlation_id`.
struct OperationsProblem: Error {
    var status: HTTPResponse.Status
    var code: ErrorCode
    /// One sentence for users.
    var detail: String
    /// All problems, if there can be several.
    var problems: [String] = []
    /// Header fields that the status requires: `WWW-Authenticate`, `Allow`.
    var fields = HTTPFields()
    /// Whether the connection closes after the response.
    var closes = false

    /// Returns the problem of a request whose parameters or body are invalid: 400.
    static func invalid(_ detail: String) -> OperationsProblem {
        OperationsProblem(status: .badRequest, code: .invalidMessage, detail: detail)
    }

    static func missingRight(_ right: OperationsRight) -> OperationsProblem {
        OperationsProblem(status: .forbidden, code: .forbidden, detail: "the token lacks the right \(right.rawValue)")
    }

    /// Returns the response.
    ///
    /// - Parameter correlationID: the correlation id of the log lines about the request.
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
