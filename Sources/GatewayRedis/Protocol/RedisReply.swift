// SPDX-License-Identifier: Apache-2.0

/// A reply of the server in RESP2, the serialization protocol of Redis and Valkey.
package enum RedisReply: Sendable, Hashable {
    /// A status such as `OK`.
    case status([UInt8])
    case error(RedisError)
    case integer(Int64)
    case bulk([UInt8])
    /// A bulk string or an array of length -1.
    case null
    case array([RedisReply])
}

extension RedisReply {
    /// The bytes of a status or bulk string; nil for other replies.
    package var bytes: [UInt8]? {
        switch self {
        case .status(let bytes), .bulk(let bytes): bytes
        case .error, .integer, .null, .array: nil
        }
    }

    /// The text of a status or bulk string, with replacement characters for invalid UTF-8; nil for other replies.
    package var text: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    /// An integer, also one that is written in decimal digits as a status or bulk string; nil for other replies.
    package var number: Int64? {
        switch self {
        case .integer(let value): value
        case .status(let bytes), .bulk(let bytes): Int64(String(decoding: bytes, as: UTF8.self))
        case .error, .null, .array: nil
        }
    }

    /// The elements of an array; nil for other replies.
    package var elements: [RedisReply]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    /// Returns the second of two successive elements whose first is the name, as in a list of fields and values; nil if there is none.
    package func value(of name: String) -> RedisReply? {
        guard let elements else { return nil }
        var index = 0
        while index + 1 < elements.count {
            if elements[index].text == name { return elements[index + 1] }
            index += 2
        }
        return nil
    }
}
