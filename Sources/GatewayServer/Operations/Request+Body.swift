import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// Bodies of requests to the operations listener. One over its limit is refused with 413.
extension Request {
    /// Reads a body that no route needs; tools send one along by habit.
    func discardBody() async throws {
        let longest = 1024
        _ = try await collectBody(upTo: longest, "no body of more than \(longest) bytes is taken")
    }

    /// Reads the whole body; one over its limit is refused by its `Content-Length` before a byte of it is read.
    func collectBody(upTo limit: Int, _ refusal: String) async throws -> ByteBuffer {
        try refuseBody(over: limit, refusal)
        do {
            return try await body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw OperationsProblem(status: .contentTooLarge, code: .messageTooLarge, detail: refusal, closes: true)
        }
    }

    /// A `Content-Length` that is no number was refused by the parser, except for one that overflows.
    func refuseBody(over limit: Int, _ refusal: String) throws {
        guard let length = headers[.contentLength], (Int(length) ?? .max) > limit else { return }
        throw OperationsProblem(status: .contentTooLarge, code: .messageTooLarge, detail: refusal, closes: true)
    }
}
