import Foundation
import GatewayCore

extension [UInt8] {
    /// A request as all kinds get it that speak Parley's own vocabulary: upstream page, section "Requests".
    ///
    /// - Parameter number: what tells it from others on the same connection; nil where it has one of its own, along which audio can't follow: then
    ///   a recording goes in the request
    mutating func append(_ request: borrowing UpstreamRequest, number: UInt64?) {
        append("{\"type\":\"")
        append(request.isText ? "text" as StaticString : "audio")
        append(UInt8(ascii: "\""))
        if let number {
            append(",\"request\":")
            append(decimal: number)
        }
        append(",\"session\":")
        append(quoted: request.session)
        append(",\"id\":")
        append(quoted: request.id)
        append(",\"route\":")
        append(jsonString: request.route)
        append(",\"stream\":")
        append(request.stream)
        if let lang = request.lang {
            append(",\"lang\":")
            append(jsonString: lang)
        }
        if request.output.audio || request.output.format != nil || request.output.voice != nil { append(request.output) }
        if !request.meta.isEmpty { append(request.meta) }
        switch request.input {
        case .text(let text):
            append(",\"text\":")
            append(jsonString: text)
        case .audio(let format): append(input: format)
        case .recording(let format, let recording):
            append(input: format)
            if number == nil {
                append(",\"data\":\"")
                self += Data(recording).base64EncodedString().utf8
                append(UInt8(ascii: "\""))
            }
        }
        append(UInt8(ascii: "}"))
    }

    private mutating func append(input format: AudioFormat) {
        append(",\"format\":")
        append(format)
    }

    private mutating func append(_ meta: [UpstreamRequest.Meta]) {
        append(",\"meta\":{")
        for (index, entry) in meta.enumerated() {
            if index > 0 { append(UInt8(ascii: ",")) }
            append(jsonString: entry.key)
            append(UInt8(ascii: ":"))
            append(jsonString: entry.value)
        }
        append(UInt8(ascii: "}"))
    }

    private mutating func append(_ output: UpstreamRequest.Output) {
        append(",\"output\":{\"modalities\":[")
        if output.text { append("\"text\"") }
        if output.text, output.audio { append(UInt8(ascii: ",")) }
        if output.audio { append("\"audio\"") }
        append("]")
        if let format = output.format {
            append(",\"format\":")
            append(format)
        }
        if let voice = output.voice {
            append(",\"voice\":")
            append(jsonString: voice)
        }
        append(UInt8(ascii: "}"))
    }
}
