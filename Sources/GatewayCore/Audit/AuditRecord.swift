// SPDX-License-Identifier: Apache-2.0

/// An audit record before it is part of a chain. It never contains message text, tokens or other secrets.
package struct AuditRecord: Sendable, Equatable {
    /// A further field. Its name is a constant of the code.
    package struct Detail: Sendable {
        package enum Value: Sendable, Equatable {
            case text(String)
            case number(Int64)
            case flag(Bool)
            case id(ULID)
        }

        package var name: StaticString
        package var value: Value

        package init(_ name: StaticString, _ value: Value) {
            self.name = name
            self.value = value
        }

        package init(_ name: StaticString, _ text: String) { self.init(name, .text(text)) }
        package init(_ name: StaticString, _ number: some BinaryInteger) { self.init(name, .number(Int64(clamping: number))) }
    }

    /// Unix milliseconds.
    package var at: Int64
    package var event: AuditEvent
    /// The user of a client, or the name of an operator's token; nil if unknown.
    package var who: String?
    /// The address that the client or operator is connected from; nil for the gateway itself.
    package var from: String?
    package var session: ULID?
    package var connection: ULID?
    package var details: [Detail]

    /// The maximum size of a text in a record, in bytes. Longer ones are truncated.
    package static let maximumTextBytes = 256

    package init(
        _ event: AuditEvent, at: Int64, who: String? = nil, from: String? = nil, session: ULID? = nil, connection: ULID? = nil,
        details: [Detail] = []
    ) {
        self.event = event
        self.at = at
        self.who = who
        self.from = from
        self.session = session
        self.connection = connection
        self.details = details
    }
}

extension AuditRecord.Detail: Equatable {
    package static func == (left: Self, right: Self) -> Bool {
        left.value == right.value && left.name.description == right.name.description
    }
}
