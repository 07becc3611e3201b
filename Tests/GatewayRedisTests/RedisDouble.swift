// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import NIOCore
import NIOPosix
import Support

/// A server of a test whose replies a closure determines, for replies that a real server sends only by chance.
final class RedisDouble: Sendable {
    /// A received command.
    struct Received: Sendable, Equatable {
        /// The number of the connection, from 1 on.
        var connection: Int
        /// The number of the read from the connection that contained the end of the command.
        var read: Int
        var words: [String]
    }

    enum Answer: Sendable {
        case reply(String)
        case close
        case nothing
    }

    let received = AwaitableValue<[Received]>([])
    private let server: any Channel
    var endpoint: RedisEndpoint { RedisEndpoint(host: "127.0.0.1", port: server.localAddress?.port ?? 0) }

    static let greeting = hello(mode: "standalone", role: "master")

    static func hello(mode: String, role: String) -> String {
        "*6\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$4\r\nmode\r\n$\(mode.utf8.count)\r\n\(mode)\r\n$4\r\nrole\r\n$\(role.utf8.count)\r\n\(role)\r\n"
    }

    /// - Parameter answer: returns the reply; nil for the usual one: to `HELLO` a greeting, to `PING` a pong, and `OK` to other commands
    init(_ answer: @escaping @Sendable (Received, RedisEndpoint) -> Answer?) async throws {
        let received = received
        let connections = AwaitableValue(0)
        server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                connections.change { $0 += 1 }
                let number = connections.value
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(number, received, answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    deinit { server.close(promise: nil) }

    /// The commands other than those that begin a connection.
    var commands: [[String]] {
        received.value.map(\.words).filter { !["HELLO", "PING", "SELECT", "SCRIPT"].contains($0[0]) }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let number: Int
        private let received: AwaitableValue<[Received]>
        private let answer: @Sendable (Received, RedisEndpoint) -> Answer?
        private var parser = RedisParser()
        private var reads = 0

        init(
            _ number: Int, _ received: AwaitableValue<[Received]>, _ answer: @escaping @Sendable (Received, RedisEndpoint) -> Answer?
        ) {
            self.number = number
            self.received = received
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            reads += 1
            var buffer = unwrapInboundIn(data)
            // A command is an array of bulk strings, like some replies.
            while let command = try? parser.next(from: &buffer), let elements = command.elements {
                let entry = Received(connection: number, read: reads, words: elements.map { $0.text ?? "" })
                received.change { $0.append(entry) }
                let endpoint = RedisEndpoint(host: "127.0.0.1", port: context.channel.localAddress?.port ?? 0)
                switch answer(entry, endpoint) ?? .reply(Self.usual(entry.words)) {
                case .reply(let text): context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
                case .close: return context.close(promise: nil)
                case .nothing: break
                }
            }
        }

        private static func usual(_ words: [String]) -> String {
            switch words[0] {
            case "HELLO": greeting
            case "PING": "+PONG\r\n"
            default: "+OK\r\n"
            }
        }
    }
}
