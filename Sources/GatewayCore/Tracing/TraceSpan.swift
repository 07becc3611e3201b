// SPDX-License-Identifier: Apache-2.0

/// An ended span of a trace.
package struct TraceSpan: Sendable, Equatable {
    /// The operation that a span measures.
    package enum Kind: Sendable, Hashable {
        /// A client's connection, from upgrade to close.
        case connection
        /// A text or audio of a client, from its acceptance to the last event of its response.
        case message
        /// The call to the upstream of one stage.
        case stage(UpstreamRole)
        /// One request to one endpoint.
        case attempt

        package var name: StaticString {
            switch self {
            case .connection: "connection"
            case .message: "message"
            case .stage(.transcribe): "stage transcribe"
            case .stage(.respond): "stage respond"
            case .stage(.synthesize): "stage synthesize"
            case .stage(.any): "stage"
            case .attempt: "attempt"
            }
        }
    }

    package struct Attribute: Sendable {
        package enum Value: Sendable, Equatable {
            case text(String)
            case number(Int64)
            case flag(Bool)
        }

        package var name: StaticString
        package var value: Value

        package init(_ name: StaticString, _ text: String) { (self.name, value) = (name, .text(text)) }
        package init(_ name: StaticString, _ number: some BinaryInteger) { (self.name, value) = (name, .number(Int64(clamping: number))) }
        package init(_ name: StaticString, _ flag: Bool) { (self.name, value) = (name, .flag(flag)) }
    }

    package enum Status: Sendable, Equatable {
        case unset
        /// With the code of the error.
        case failed(String)
    }

    package var kind: Kind
    package var context: TraceContext
    /// The id of the parent span; nil for the first span of a trace.
    package var parent: UInt64?
    /// Unix nanoseconds.
    package var start: UInt64
    package var end: UInt64
    package var attributes: [Attribute]
    package var status: Status
    /// A span of another trace: the connection of a message.
    package var link: TraceContext?

    package init(
        _ kind: Kind, _ context: TraceContext, parent: UInt64?, start: UInt64, end: UInt64 = 0, attributes: [Attribute] = [],
        status: Status = .unset, link: TraceContext? = nil
    ) {
        self.kind = kind
        self.context = context
        self.parent = parent
        self.start = start
        self.end = end
        self.attributes = attributes
        self.status = status
        self.link = link
    }

    package var hasFailed: Bool { status != .unset }
    /// Nanoseconds.
    package var duration: UInt64 { end > start ? end - start : 0 }
}

extension TraceSpan.Attribute: Equatable {
    package static func == (left: Self, right: Self) -> Bool {
        left.value == right.value && left.name.description == right.name.description
    }
}
