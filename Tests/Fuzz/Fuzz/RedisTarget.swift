// SPDX-License-Identifier: Apache-2.0

import NIOCore

@testable import GatewayRedis

/// The parser of replies, the replies that describe servers, URLs, and the encoding of commands.
///
/// Invariants: The replies and the fault don't depend on how the bytes are split. Replies are within the limits, at most the received bytes
/// are held, and nothing follows a fault. An encoded command is parsed as its arguments. A URL's description doesn't show its password.
final class RedisTarget: FuzzTarget {
    private static let limits = {
        var limits = RedisParser.Limits()
        (limits.lineBytes, limits.bulkBytes, limits.replyBytes, limits.elements, limits.depth) = (32, 64, 100, 10, 3)
        return limits
    }()
    private static let server = RedisEndpoint(host: "127.0.0.1", port: 7000)

    func run(_ input: FuzzInput) {
        var input = input
        switch input.byte() % 4 {
        case 0: Self.readReplies(&input, limits: RedisParser.Limits())
        case 1: Self.readReplies(&input, limits: Self.limits)
        case 2: Self.writeCommand(input.lengthPrefixed(scale: 0))
        default: Self.readText(input.string)
        }
    }

    /// The replies that a parser returned, and its fault.
    private struct Outcome: Equatable {
        var replies: [RedisReply] = []
        var fault: RedisParserFault?
    }

    private static func readReplies(_ input: inout FuzzInput, limits: RedisParser.Limits) {
        let split = input.split()
        let bytes = input.bytes
        let whole = parse([bytes], limits)
        require(whole == parse(split.pieces(of: bytes), limits), "the replies don't depend on the split")
        for reply in whole.replies {
            var (size, elements) = (0, 0)
            measure(reply, depth: 0, limits, &size, &elements)
            require(size <= limits.replyBytes, "the bytes of a reply are limited")
            require(elements <= limits.elements, "the elements of a reply are limited")
            _ = ClusterMap(reply, from: server)
            _ = ServerGreeting(reply)
            if case .error(let error) = reply { _ = Redirection(error.text, from: server) }
        }
    }

    private static func parse(_ pieces: [[UInt8]], _ limits: RedisParser.Limits) -> Outcome {
        var parser = RedisParser(limits: limits)
        var outcome = Outcome()
        var received = 0
        for piece in pieces {
            received += piece.count
            var buffer = ByteBuffer(bytes: piece)
            do throws(RedisParserFault) {
                while let reply = try parser.next(from: &buffer) { outcome.replies.append(reply) }
                require(outcome.fault == nil, "nothing follows a fault")
                require(buffer.readableBytes == 0, "all bytes are consumed")
                require(parser.heldBytes <= received, "no more bytes are held than were received")
            } catch {
                require(outcome.fault == nil || outcome.fault == error, "the fault stays")
                outcome.fault = error
            }
        }
        return outcome
    }

    private static func measure(_ reply: RedisReply, depth: Int, _ limits: RedisParser.Limits, _ size: inout Int, _ elements: inout Int) {
        switch reply {
        case .status(let bytes): size += bytes.count
        case .bulk(let bytes):
            require(bytes.count <= limits.bulkBytes, "a bulk string is limited")
            size += bytes.count
        case .array(let array):
            require(depth < limits.depth, "the depth of a reply is limited")
            elements += array.count
            for element in array { measure(element, depth: depth + 1, limits, &size, &elements) }
        // The text of an error can be longer than its bytes, because invalid UTF-8 is replaced.
        case .error, .integer, .null: break
        }
    }

    private static func writeCommand(_ arguments: [[UInt8]]) {
        var command = RedisCommand("SET")
        for argument in arguments { command.append(argument) }
        var buffer = ByteBuffer()
        command.write(to: &buffer)
        require(buffer.readableBytes == command.byteCount, "the size of a command is known")
        let expected = [Array("SET".utf8)] + arguments
        require(must { try RedisParser.single(&buffer) } == .array(expected.map { .bulk($0) }), "a command is parsed as its arguments")
    }

    private static func readText(_ text: String) {
        if let url = try? RedisURL(text) {
            require((1...RedisURL.maxEndpoints).contains(url.endpoints.count), "a URL has endpoints")
            require(url.endpoints.allSatisfy { 1...65535 ~= $0.port && !$0.host.isEmpty }, "endpoints are valid")
            var secret = url
            secret.password = RedisPassword("correct horse battery staple")
            require(!"\(secret)".contains("battery"), "no description shows a password")
        }
        _ = Redirection(text, from: server)
        _ = SentinelWatch.newMaster(Array(text.utf8), of: "main")
        require(0..<KeySlot.count ~= KeySlot.slot(of: Array(text.utf8)), "a slot is in its range")
    }
}

extension RedisParser {
    fileprivate static func single(_ buffer: inout ByteBuffer) throws -> RedisReply? {
        var parser = RedisParser()
        return try parser.next(from: &buffer)
    }
}
