// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// Bodies of requests to the operations listener. A body over its limit is rejected with 413.
extension Request {
    /// Reads and discards the body of a request that needs none; some tools always send one.
    func discardBody() async throws {
        let longest = 1024
        _ = try await collectBody(upTo: longest, "request body too large; the limit is \(longest) bytes")
    }

    /// Reads the whole body. A body over its limit is rejected by its `Content-Length` before a byte of it is read.
    func collectBody(upTo limit: Int, _ rejection: String) async throws -> ByteBuffer {
        try rejectBody(over: limit, rejection)
        do {
            return try await body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw OperationsProblem(status: .contentTooLarge, code: .messageTooLarge, detail: rejection, closes: true)
        }
    }

    /// Rejects a request whose `Content-Length` exceeds a limit. The parser has rejected an invalid `Content-Length`, except for one that
    /// overflows.
    func rejectBody(over limit: Int, _ rejection: String) throws {
        guard let length = headers[.contentLength], (Int(length) ?? .max) > limit else { return }
        throw OperationsProblem(status: .contentTooLarge, code: .messageTooLarge, detail: rejection, closes: true)
    }
}
