// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore

extension [UInt8] {
    /// Appends a request in Parley's upstream message format (page "Upstreams", section "Requests").
    ///
    /// - Parameter number: identifies the request on a shared connection; nil for an HTTP request, whose recording is embedded in the JSON
    ///   because no audio can follow it
    mutating func append(_ request: UpstreamRequest, number: UInt64?) {
        let recording: [UInt8]? =
            if number == nil, case .recording(_, let bytes) = request.input { Array(Data(bytes).base64EncodedString().utf8) } else { nil }
        let size = request.input.byteCount &+ (recording?.count ?? 0)
        appendJSON(expecting: 512 &+ size) { writer in
            writer.object { $0.members(request, number: number, recording: recording) }
        }
    }
}

extension JSONWriter {
    /// - Parameter recording: the recording in base64; nil where it follows on the connection
    fileprivate mutating func members(_ request: UpstreamRequest, number: UInt64?, recording: [UInt8]?) {
        if request.isText { member("type", literal: "text") } else { member("type", literal: "audio") }
        if let number {
            member("request", number)
            // Over HTTP it is a header field.
            if let trace = request.trace { member("traceparent", trace.traceparent) }
        }
        member("session", request.session)
        member("id", request.id)
        member("route", request.route)
        member("stream", request.stream)
        if let lang = request.lang { member("lang", lang) }
        if request.output.audio || request.output.format != nil || request.output.voice != nil { member("output", request.output) }
        if let access = request.access {
            member("user", access.user)
            if !access.claims.isEmpty {
                object("claims") { writer in
                    for entry in access.claims { writer.member(named: entry.key, entry.value) }
                }
            }
        }
        if !request.meta.isEmpty {
            object("meta") { writer in
                for entry in request.meta { writer.member(named: entry.key, entry.value) }
            }
        }
        if !request.whisper.isEmpty { member("whisper", request.whisper) }
        switch request.input {
        case .text(let text): member("text", text)
        case .audio(let format): member("format", format)
        case .recording(let format, _):
            member("format", format)
            if let recording { member("data", recording) }
        }
    }

    private mutating func member(_ name: StaticString, _ output: UpstreamRequest.Output) {
        object(name) { writer in
            writer.array("modalities") { writer in
                if output.text { writer.element(literal: "text") }
                if output.audio { writer.element(literal: "audio") }
            }
            if let format = output.format { writer.member("format", format) }
            if let voice = output.voice { writer.member("voice", voice) }
        }
    }
}
