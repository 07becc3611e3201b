// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// The encoded bytes of one command, an array of bulk strings.
package struct RedisCommand: Sendable {
    /// The hash slot of the first key; nil for a command without a key. In a cluster the slot selects the server, and commands with the
    /// same slot are executed in the order in which they were sent.
    package private(set) var slot: Int?
    /// The script that the command evaluates, to be loaded if the server doesn't have it.
    let script: RedisScript?
    /// How much longer than other commands the server may take to reply.
    var additionalTime = TimeAmount.zero
    private(set) var argumentCount = 0
    private var arguments = ByteBuffer()

    package init(_ name: StaticString) {
        script = nil
        append(name)
    }

    /// Creates `EVALSHA` of a script that reads and writes one key; the script's arguments are appended.
    package init(evaluating script: RedisScript, key: [UInt8]) {
        self.script = script
        arguments.reserveCapacity(128 + key.count)
        append("EVALSHA" as StaticString)
        append(script.digest)
        append(1)
        append(key: key)
    }

    /// Creates `WAIT`: the number of replicas that have received all writes of earlier commands with the same key's slot.
    ///
    /// The reply covers earlier commands only if they were sent on the same connection. ``RedisClient/sendBatch(_:replicas:completion:)``
    /// guarantees it.
    ///
    /// - Parameters:
    ///   - replicas: how many replicas suffice
    ///   - timeout: when the server replies in any case; at least 1 ms
    package static func wait(replicas: Int, timeout: Duration, key: [UInt8]?) -> RedisCommand {
        let limit = TimeAmount(timeout)
        var command = RedisCommand("WAIT")
        command.append(replicas)
        // 0 would mean to wait without a limit.
        command.append(max(1, limit.nanoseconds / 1_000_000))
        command.additionalTime = limit
        command.slot = key.map { KeySlot.slot(of: $0) }
        return command
    }

    /// Creates `WAITAOF` (Redis 7.2): like `WAIT`, but for the append-only files of the server and its replicas.
    static func waitForDisk(replicas: Int, timeout: Duration) -> RedisCommand {
        let limit = TimeAmount(timeout)
        var command = RedisCommand("WAITAOF")
        command.append(1)
        command.append(replicas)
        command.append(max(1, limit.nanoseconds / 1_000_000))
        command.additionalTime = limit
        return command
    }

    /// Appends an argument that is the key of the command.
    package mutating func append(key: [UInt8]) {
        if slot == nil { slot = KeySlot.slot(of: key) }
        append(key)
    }

    /// Appends an argument that is the key of the command.
    package mutating func append(key: String) { append(key: Array(key.utf8)) }

    package mutating func append(_ bytes: [UInt8]) {
        beginArgument(bytes.count)
        arguments.writeBytes(bytes)
        endArgument()
    }

    package mutating func append(_ bytes: ArraySlice<UInt8>) {
        beginArgument(bytes.count)
        arguments.writeBytes(bytes)
        endArgument()
    }

    package mutating func append(_ text: String) {
        beginArgument(text.utf8.count)
        arguments.writeString(text)
        endArgument()
    }

    package mutating func append(_ text: StaticString) {
        beginArgument(text.utf8CodeUnitCount)
        arguments.writeStaticString(text)
        endArgument()
    }

    /// Appends a number in decimal digits.
    package mutating func append(_ number: some BinaryInteger) { append(String(number)) }

    /// The size of the encoded command in bytes.
    package var byteCount: Int { arguments.readableBytes + 3 + Self.digits(argumentCount) }

    /// Appends the encoded command.
    package func write(to buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt8(ascii: "*"))
        Self.writeLine(argumentCount, to: &buffer)
        buffer.writeImmutableBuffer(arguments)
    }

    private mutating func beginArgument(_ count: Int) {
        argumentCount += 1
        arguments.writeInteger(UInt8(ascii: "$"))
        Self.writeLine(count, to: &arguments)
    }

    private mutating func endArgument() { arguments.writeInteger(0x0D0A as UInt16) }

    /// Writes a number and CRLF without allocating a string.
    private static func writeLine(_ number: Int, to buffer: inout ByteBuffer) {
        var divisor = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            buffer.writeInteger(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
        buffer.writeInteger(0x0D0A as UInt16)
    }

    private static func digits(_ number: Int) -> Int {
        var (rest, digits) = (number, 1)
        while rest >= 10 { (rest, digits) = (rest / 10, digits + 1) }
        return digits
    }
}
