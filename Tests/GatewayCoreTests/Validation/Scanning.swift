// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// Scans one message with a fresh scanner.
func scan(_ json: some Sequence<UInt8>, rules: ValidationRules = ValidationRules()) -> Result<ClientMessage, MessageFault> {
    var scanner = MessageScanner(rules: rules)
    return scan(Array(json), with: &scanner)
}

func scan(_ json: String, rules: ValidationRules = ValidationRules()) -> Result<ClientMessage, MessageFault> {
    scan(Array(json.utf8), rules: rules)
}

func scan(_ bytes: [UInt8], with scanner: inout MessageScanner) -> Result<ClientMessage, MessageFault> {
    do throws(MessageFault) {
        return .success(try scanner.scan(bytes.span.bytes))
    } catch {
        return .failure(error)
    }
}

extension Result<ClientMessage, MessageFault> {
    var fault: MessageFault? {
        if case .failure(let fault) = self { fault } else { nil }
    }

    var code: ErrorCode? { fault?.code }

    var message: ClientMessage? { try? get() }

    var text: ClientMessage.Text? {
        if case .success(.text(let text)) = self { text } else { nil }
    }

    var audio: ClientMessage.AudioOpen? {
        if case .success(.audioOpen(let open)) = self { open } else { nil }
    }

    var status: ClientMessage.Status? {
        if case .success(.status(let status)) = self { status } else { nil }
    }

    /// The code and the param of the fault; `ok` for a valid message.
    var verdict: String {
        switch self {
        case .success: "ok"
        case .failure(let fault): fault.reason.code.rawValue + (fault.param.map { " " + $0 } ?? "")
        }
    }
}

/// Returns the text of a slice of `json`.
func string(_ slice: TextSlice?, in json: String) -> String? {
    guard let slice else { return nil }
    return String(decoding: slice.bytes(in: Array(json.utf8).span.bytes), as: UTF8.self)
}

func string(_ slice: NumberSlice?, in json: String) -> String? {
    guard let slice else { return nil }
    var bytes: [UInt8] = []
    slice.append(to: &bytes, from: Array(json.utf8).span.bytes)
    return String(decoding: bytes, as: UTF8.self)
}
