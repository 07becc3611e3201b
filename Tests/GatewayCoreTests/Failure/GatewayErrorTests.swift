// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct GatewayErrorTests {
    private static let id = ULID(high: 0, low: 1)

    private func json(_ error: GatewayError, showsDetails: Bool = false) -> String {
        var bytes: [UInt8] = []
        bytes.appendJSON(expecting: 0) { writer in writer.object { $0.member("error", error, showsDetails: showsDetails) } }
        return String(String(decoding: bytes, as: UTF8.self).dropFirst(#"{"error":"#.count).dropLast())
    }

    @Test func `a minimal error has only the required fields`() {
        let error = GatewayError(.incompleteJSON, correlationID: Self.id)
        #expect(
            json(error)
                == #"{"code":"invalid_json","message":"The JSON object is incomplete","param":null,"correlation_id":"00000000000000000000000001","#
                + #""retryable":false,"fatal":false}"#)
    }

    @Test func `a complete error has every field, and details only in development mode`() {
        var error = GatewayError(
            .textRate, message: "wait", param: "/id", replyTo: MessageID("m61"), chunk: 7, retryAfter: 12_000, details: "inside",
            correlationID: Self.id)
        error.close = .tooManyViolations
        let start =
            #"{"code":"rate_limited","message":"wait","param":"/id","reply_to":"m61","chunk":7,"#
            + #""correlation_id":"00000000000000000000000001","retryable":true,"retry_after_ms":12000,"fatal":true"#
        #expect(json(error) == start + "}")
        #expect(json(error, showsDetails: true) == start + #","details":"inside"}"#)
    }

    @Test func `texts are escaped`() {
        let error = GatewayError(
            .invalidID, message: "a \"quote\", a \\, a\nline, a \u{1} and a ü", param: "/meta/a~1\"b", details: "\u{7F}\t",
            correlationID: Self.id)
        let text = json(error, showsDetails: true)
        #expect(text.contains(#""message":"a \"quote\", a \\, a\nline, a \u0001 and a ü","param":"/meta/a~1\"b","#))
        #expect(text.hasSuffix("\"details\":\"\u{7F}\\t\"}"))
    }

    @Test func `an error message contains the error and isn't sequenced`() {
        var bytes: [UInt8] = []
        let error = GatewayError(.draining, correlationID: Self.id)
        bytes.append(ErrorMessage(error, showsDetails: false))
        #expect(String(decoding: bytes, as: UTF8.self) == #"{"type":"error","error":"# + json(error) + "}")
    }

    @Test func `an error message has reply_to at its top level, too`() {
        var bytes: [UInt8] = []
        let error = GatewayError(.draining, replyTo: MessageID("m1"), correlationID: Self.id)
        bytes.append(ErrorMessage(error, showsDetails: false))
        #expect(String(decoding: bytes, as: UTF8.self) == #"{"type":"error","reply_to":"m1","error":"# + json(error) + "}")
        #expect(json(error).contains(#""reply_to":"m1""#))
    }

    @Test(arguments: ErrorReason.allCases)
    func `the close reason of every fatal error fits into a close frame`(reason: ErrorReason) {
        let error = GatewayError(reason, close: .tooManyViolations, correlationID: ULID(high: .max, low: .max))
        let closing = Closing(error)
        #expect(closing.code == .tooManyViolations)
        #expect(closing.reason == "\(reason.code.rawValue) 7ZZZZZZZZZZZZZZZZZZZZZZZZZ")
        #expect(closing.reason.utf8.count <= 123)
    }

    @Test func `an error without a close code closes with 1011`() {
        #expect(Closing(GatewayError(.unsupportedInput, correlationID: Self.id)).code == .internal)
    }

    @Test(arguments: ErrorCode.allCases)
    func `a violation isn't retryable`(code: ErrorCode) {
        #expect(!(code.isViolation && code.isRetryable))
    }

    @Test func `the close codes are those of the protocol`() {
        #expect(
            CloseCode.allCases.map(\.rawValue) == [
                1000, 1001, 1002, 1003, 1007, 1009, 1011, 1012, 1013, 4001, 4002, 4003, 4500, 4501, 4502, 4503, 4504, 4505, 4506, 4507,
            ])
    }
}
