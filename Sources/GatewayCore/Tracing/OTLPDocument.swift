// SPDX-License-Identifier: Apache-2.0

/// The body of an OTLP/HTTP request with spans, in the JSON encoding of OTLP 1 (`ExportTraceServiceRequest`).
package struct OTLPDocument: Sendable {
    package var service = "parley"
    package var version: String
    /// The host's name; identifies the instance together with the service.
    package var instance: String

    package init(version: String, instance: String) {
        self.version = version
        self.instance = instance
    }

    package func body(_ spans: some Collection<TraceSpan>) -> [UInt8] {
        var body: [UInt8] = []
        body.appendJSON(expecting: 512 + 640 * spans.count) { writer in
            writer.object { writer in
                writer.array("resourceSpans") { writer in
                    writer.element { writer in
                        writer.object("resource") { writer in
                            writer.array("attributes") { writer in
                                writer.attribute(.init("service.name", service))
                                writer.attribute(.init("service.version", version))
                                writer.attribute(.init("service.instance.id", instance))
                            }
                        }
                        writer.array("scopeSpans") { writer in
                            writer.element { writer in
                                writer.object("scope") { $0.member("name", service) }
                                writer.array("spans") { writer in
                                    for span in spans { writer.element { $0.span(span) } }
                                }
                            }
                        }
                    }
                }
            }
        }
        return body
    }
}

extension JSONWriter {
    fileprivate mutating func span(_ span: TraceSpan) {
        member("traceId", span.context.traceID)
        member("spanId", TraceContext.text(ofSpan: span.context.span))
        if let parent = span.parent { member("parentSpanId", TraceContext.text(ofSpan: parent)) }
        member("name", literal: span.kind.name)
        // SPAN_KIND_INTERNAL, _SERVER and _CLIENT of trace.proto.
        switch span.kind {
        case .stage: member("kind", 1)
        case .connection, .message: member("kind", 2)
        case .attempt: member("kind", 3)
        }
        // 64-bit integers are strings in the JSON encoding of protobuf.
        member("startTimeUnixNano", span.start.description)
        member("endTimeUnixNano", max(span.start, span.end).description)
        if !span.attributes.isEmpty {
            array("attributes") { writer in
                for attribute in span.attributes { writer.attribute(attribute) }
            }
        }
        if let link = span.link {
            array("links") { writer in
                writer.element { writer in
                    writer.member("traceId", link.traceID)
                    writer.member("spanId", TraceContext.text(ofSpan: link.span))
                }
            }
        }
        object("status") { writer in
            guard case .failed(let code) = span.status else { return }
            writer.member("code", 2)
            writer.member("message", code)
        }
    }

    fileprivate mutating func attribute(_ attribute: TraceSpan.Attribute) {
        element { writer in
            writer.member("key", literal: attribute.name)
            writer.object("value") { writer in
                switch attribute.value {
                case .text(let text): writer.member("stringValue", text)
                case .number(let number): writer.member("intValue", number.description)
                case .flag(let flag): writer.member("boolValue", flag)
                }
            }
        }
    }
}
