// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import NIOCore
import Support
import Testing

@Suite("The parser of RESP2") struct RedisParserTests {
    /// Parses pieces, one after the other.
    private static func parse(_ pieces: [[UInt8]], limits: RedisParser.Limits = .init()) throws(RedisParserFault) -> [RedisReply] {
        var parser = RedisParser(limits: limits)
        var replies: [RedisReply] = []
        for piece in pieces {
            var buffer = ByteBuffer(bytes: piece)
            while let reply = try parser.next(from: &buffer) { replies.append(reply) }
        }
        return replies
    }

    private static func parse(_ text: String, limits: RedisParser.Limits = .init()) throws(RedisParserFault) -> [RedisReply] {
        try parse([Array(text.utf8)], limits: limits)
    }

    private static func fault(_ text: String, limits: RedisParser.Limits = .init()) -> RedisParserFault? {
        do throws(RedisParserFault) { _ = try parse(text, limits: limits) } catch { return error }
        return nil
    }

    private static let samples: [(String, [RedisReply])] = [
        ("+OK\r\n", [.status(Array("OK".utf8))]),
        ("+\r\n", [.status([])]),
        ("-ERR no such key\r\n", [.error(RedisError(code: "ERR", text: "no such key"))]),
        ("-NOSCRIPT\r\n", [.error(RedisError(code: "NOSCRIPT", text: ""))]),
        (":0\r\n:-1\r\n", [.integer(0), .integer(-1)]),
        (":9223372036854775807\r\n:-9223372036854775808\r\n", [.integer(.max), .integer(.min)]),
        ("$0\r\n\r\n", [.bulk([])]),
        ("$5\r\na\r\nbc\r\n", [.bulk(Array("a\r\nbc".utf8))]),
        ("$-1\r\n*-1\r\n", [.null, .null]),
        ("*0\r\n", [.array([])]),
        ("*2\r\n*1\r\n:1\r\n$1\r\nx\r\n+a\r\n", [.array([.array([.integer(1)]), .bulk([0x78])]), .status([0x61])]),
        ("*3\r\n*0\r\n-E x\r\n$-1\r\n", [.array([.array([]), .error(RedisError(code: "E", text: "x")), .null])]),
    ]

    @Test(arguments: samples.indices) func `replies are the same, however the bytes are split`(index: Int) throws {
        let (text, expected) = Self.samples[index]
        let bytes = Array(text.utf8)
        #expect(try Self.parse([bytes]) == expected)
        #expect(try Self.parse(bytes.map { [$0] }) == expected)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                let pieces = [Array(bytes[..<first]), Array(bytes[first..<second]), Array(bytes[second...])]
                #expect(try Self.parse(pieces) == expected, "\(first) \(second)")
            }
        }
    }

    @Test(
        arguments: [
            ("\r\n", .unknownType(13)), ("OK\r\n", .unknownType(79)), ("_\r\n", .unknownType(95)), ("%1\r\n", .unknownType(37)),
            (":\r\n", .malformedNumber), (":-\r\n", .malformedNumber), (":+1\r\n", .malformedNumber), (":1 \r\n", .malformedNumber),
            (":9223372036854775808\r\n", .malformedNumber), (":-9223372036854775809\r\n", .malformedNumber),
            (":00000000000000000001\r\n", .malformedNumber), ("$-2\r\n", .malformedNumber), ("*-2\r\n", .malformedNumber),
            ("$\r\n", .malformedNumber), ("*x\r\n", .malformedNumber), ("+a\n", .missingLineEnd), ("+a\rb", .missingLineEnd),
            ("+a\r\r\n", .missingLineEnd), ("$1\r\nabc", .missingLineEnd), ("$1\r\na\rb", .missingLineEnd), ("$0\r\n\n", .missingLineEnd),
        ] as [(String, RedisParserFault)]) func `rubbish is rejected, however it is split`(text: String, fault: RedisParserFault) throws
    {
        #expect(Self.fault(text) == fault)
        #expect(throws: fault) { try Self.parse(text.utf8.map { [$0] }) }
        // A valid reply before it is delivered.
        var parser = RedisParser()
        var buffer = ByteBuffer(string: ":7\r\n" + text)
        #expect(try parser.next(from: &buffer) == .integer(7))
        #expect(throws: fault) { try parser.next(from: &buffer) }
        // Nothing is accepted after it.
        var more = ByteBuffer(string: ":8\r\n")
        #expect(throws: fault) { try parser.next(from: &more) }
    }

    // MARK: Limits

    @Test(arguments: [false, true]) func `a line of the maximum length is accepted and a longer one rejected`(trickles: Bool) throws {
        var limits = RedisParser.Limits()
        limits.lineBytes = 10
        func parse(_ text: String) throws -> [RedisReply] {
            try Self.parse(trickles ? text.utf8.map { [$0] } : [Array(text.utf8)], limits: limits)
        }
        for count in 8...10 {
            let text = String(repeating: "a", count: count)
            #expect(try parse("+\(text)\r\n") == [.status(Array(text.utf8))])
        }
        #expect(throws: RedisParserFault.lineTooLong) { try parse("+" + String(repeating: "a", count: 11) + "\r\n") }
        // Rejected before the end of the line is received.
        #expect(throws: RedisParserFault.lineTooLong) { try parse("+" + String(repeating: "a", count: 12)) }
    }

    @Test func `a bulk string above the limit is rejected when it is announced`() throws {
        var limits = RedisParser.Limits()
        limits.bulkBytes = 4
        #expect(try Self.parse("$3\r\nabc\r\n$4\r\nabcd\r\n", limits: limits).count == 2)
        #expect(Self.fault("$5\r\n", limits: limits) == .bulkTooLong)
        #expect(Self.fault("$67108864\r\n") == nil)
        #expect(Self.fault("$67108865\r\n") == .bulkTooLong)
        limits.bulkBytes = .max
        #expect(Self.fault("$536870913\r\n", limits: limits) == .bulkTooLong)
    }

    @Test func `the total length of a reply is limited, and starts again for the next reply`() throws {
        var limits = RedisParser.Limits()
        limits.replyBytes = 6
        let fits = "*3\r\n$2\r\nab\r\n+cd\r\n$2\r\nef\r\n"
        #expect(try Self.parse(fits + fits, limits: limits).count == 2)
        #expect(Self.fault("*3\r\n$2\r\nab\r\n+cd\r\n$3\r\n", limits: limits) == .replyTooLong)
        #expect(Self.fault("*3\r\n$2\r\nab\r\n+cd\r\n-efg\r\n", limits: limits) == .replyTooLong)
    }

    @Test func `the number of elements of a reply is limited, including nested arrays`() throws {
        var limits = RedisParser.Limits()
        limits.elements = 4
        #expect(try Self.parse("*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n", limits: limits).count == 1)
        #expect(try Self.parse("*2\r\n*2\r\n:1\r\n:1\r\n:1\r\n*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n", limits: limits).count == 2)
        #expect(Self.fault("*5\r\n", limits: limits) == .tooManyElements)
        #expect(Self.fault("*2\r\n*3\r\n", limits: limits) == .tooManyElements)
        #expect(Self.fault("*1048576\r\n") == nil)
        #expect(Self.fault("*1048577\r\n") == .tooManyElements)
    }

    @Test func `arrays are nested up to the limit`() throws {
        #expect(try Self.parse(String(repeating: "*1\r\n", count: 8) + ":1\r\n").count == 1)
        #expect(Self.fault(String(repeating: "*1\r\n", count: 9)) == .tooDeep)
        // An empty array also counts.
        #expect(Self.fault(String(repeating: "*1\r\n", count: 8) + "*0\r\n") == .tooDeep)
    }

    @Test func `announced sizes reserve no memory`() throws {
        var parser = RedisParser()
        var buffer = ByteBuffer(string: "*1048576\r\n$67108864\r\nabc")
        #expect(try parser.next(from: &buffer) == nil)
        #expect(parser.heldBytes == 3)
    }

    @Test func `a long string in single bytes takes time in proportion to its length`() throws {
        func duration(_ count: Int) throws -> Duration {
            var parser = RedisParser()
            var piece = ByteBuffer(string: "$\(count)\r\n")
            _ = try parser.next(from: &piece)
            let start = ContinuousClock.now
            for _ in 0..<count {
                var byte = ByteBuffer(integer: 0x61 as UInt8)
                _ = try parser.next(from: &byte)
            }
            return ContinuousClock.now - start
        }
        let short = try (0..<3).map { _ in try duration(10_000) }.min() ?? .zero
        let long = try (0..<3).map { _ in try duration(80_000) }.min() ?? .zero
        // A quadratic parser would need 64 times as long.
        #expect(long < short * 32)
    }

    @Test func `random bytes and changed replies are parsed the same in one piece and in many`() {
        var random = SplitMix64(state: 19)
        let alphabet = Array("+-:$*0123456789\r\n\r\nab".utf8)
        for _ in 0..<3000 {
            var bytes = (0..<Int.random(in: 0..<40, using: &random)).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
            }
            bytes = Array(Self.samples[Int.random(in: 0..<Self.samples.count, using: &random)].0.utf8) + bytes
            if Bool.random(using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = alphabet.randomElement(using: &random) ?? 0
            }
            #expect(Self.outcome([bytes]) == Self.outcome(bytes.map { [$0] }), "\(bytes)")
        }
    }

    /// The replies before a fault, and the fault.
    private static func outcome(_ pieces: [[UInt8]]) -> String {
        var parser = RedisParser()
        var replies: [RedisReply] = []
        for piece in pieces {
            var buffer = ByteBuffer(bytes: piece)
            do throws(RedisParserFault) {
                while let reply = try parser.next(from: &buffer) { replies.append(reply) }
            } catch {
                return "\(replies) \(error)"
            }
        }
        return "\(replies)"
    }
}
