// SPDX-License-Identifier: Apache-2.0

/// A message to a client, the counterpart of ``ClientMessage``: one Swift type for each value of `type`.
///
/// Shapes: protocol page, section "Messages". Members are written in a fixed order; absent ones are omitted.
package protocol OutgoingMessage: ~Copyable {
    /// The value of `type`.
    static var type: StaticString { get }
    /// The estimated size of the message in bytes. If the estimate is too small, the message is written twice.
    var expectedBytes: Int { get }
    /// Writes the members after `type` and `seq`.
    func write(to writer: inout JSONWriter)
}

extension [UInt8] {
    /// Appends a whole message.
    ///
    /// - Parameter sequence: the value of `seq`; nil for a message that isn't sequenced
    @inline(__always)
    package mutating func append(_ message: borrowing some OutgoingMessage & ~Copyable, sequence: UInt64? = nil) {
        appendJSON(expecting: message.expectedBytes) { writer in
            writer.message(type(of: message).type, sequence: sequence) { message.write(to: &$0) }
        }
    }
}

extension JSONWriter {
    /// Writes a message: `type`, `seq` if present, and the members.
    @inline(__always)
    mutating func message(_ type: StaticString, sequence: UInt64? = nil, _ members: (inout JSONWriter) -> Void) {
        object { writer in
            writer.member("type", literal: type)
            if let sequence { writer.member("seq", sequence) }
            members(&writer)
        }
    }

    /// Writes an audio format.
    package mutating func member(_ name: StaticString, _ format: AudioFormat) {
        self.name(name)
        self.format(format)
    }

    mutating func format(_ format: AudioFormat) {
        object { writer in
            writer.member("codec", format.codec.rawValue)
            writer.member("rate", format.rate)
            writer.member("channels", format.channels)
        }
    }
}
