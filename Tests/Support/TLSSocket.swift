package import GatewayTLS
import NIOCore
import NIOPosix

/// A client's socket as a test holds it: raw bytes out, raw bytes in, over TLS or in the clear.
///
/// Waiting has a limit only so that a broken gateway fails a test instead of hanging it.
package final class TLSSocket: Sendable {
    package struct Incoming: Sendable {
        package fileprivate(set) var bytes: [UInt8] = []
        /// The peer has sent its last byte.
        package fileprivate(set) var isEnded = false
        /// What went wrong, other than the end.
        package fileprivate(set) var error: String?
        fileprivate var isReady = false
        /// Taken from the front, which is cheap, and given back now and then.
        fileprivate var taken = 0

        /// What wasn't taken yet.
        package var rest: ArraySlice<UInt8> { bytes[taken...] }

        package mutating func take(_ count: Int) -> [UInt8] {
            let end = taken + min(count, bytes.count - taken)
            let result = Array(bytes[taken..<end])
            taken = end
            if taken > 65536, taken > bytes.count / 2 {
                bytes.removeFirst(taken)
                taken = 0
            }
            return result
        }
    }

    /// How long anything may take in a test.
    package static let patience = Duration.seconds(45)

    package let incoming: Watched<Incoming>
    private let channel: any Channel

    private init(_ channel: any Channel, incoming: Watched<Incoming>) {
        self.channel = channel
        self.incoming = incoming
    }

    deinit { channel.close(promise: nil) }

    package enum Security: Sendable {
        /// TLS, any certificate.
        case unverified
        /// TLS, and the certificate must be this one or from this authority, for `localhost`.
        case trusting(path: String)
        case named(String, minimum: TLSVersion)
        case none
    }

    /// Connects and shakes hands.
    ///
    /// - Parameters:
    ///   - receiveBuffer: bytes that the kernel takes for us while we don't read; nil for what it likes
    ///   - address: where the connection comes from; nil for 127.0.0.1
    package static func connect(
        port: Int, _ security: Security = .unverified, receiveBuffer: Int? = nil, from address: String? = nil
    ) async throws -> TLSSocket {
        let incoming = Watched(Incoming())
        let context: TLSClientContext? =
            switch security {
            case .unverified: try TLSClientContext(verify: .none, serverName: nil, applicationProtocols: ["http/1.1"])
            case .trusting(let path): try TLSClientContext(verify: .authority(path: path), serverName: "localhost")
            case .named(let name, let minimum): try TLSClientContext(verify: .none, serverName: name, minimumVersion: minimum)
            case .none: nil
            }
        var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        let tls = try TLSHandler(client: context, buffers: TLSBuffers())
                        try channel.pipeline.syncOperations.addHandler(tls)
                    }
                    try channel.pipeline.syncOperations.addHandler(Collector(incoming, isReadyAtOnce: context == nil))
                }
            }
        if let receiveBuffer {
            bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: SocketOptionValue(receiveBuffer))
        }
        if let address { bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: address, port: 0)) }
        let channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
        let socket = TLSSocket(channel, incoming: incoming)
        let isReady: Bool? = await incoming.wait(atMost: patience) { $0.isReady ? true : $0.isEnded ? false : nil }
        guard isReady == true else { throw TestFailure("no handshake: \(incoming.value.error ?? "the peer ended it")") }
        return socket
    }

    // MARK: Out

    /// Sends bytes, in one record if they fit in one, and waits until the socket has them.
    package func send(_ bytes: some Sequence<UInt8>) async throws {
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
    }

    /// Sends without waiting: for tests whose peer stops reading.
    package func push(_ bytes: some Sequence<UInt8>) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

    /// close_notify and the end of TCP's sending side.
    package func finishSending() async throws { try await channel.close(mode: .output).get() }

    /// Closes as an application does.
    package func close() async { try? await channel.close().get() }

    /// Vanishes: a reset instead of an end.
    package func reset() async {
        try? await (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        try? await channel.close().get()
    }

    // MARK: In

    /// Stops taking bytes from the kernel.
    package func pauseReading() async throws { try await channel.setOption(.autoRead, value: false).get() }

    package func resumeReading() async throws {
        try await channel.setOption(.autoRead, value: true).get()
        channel.read()
    }

    /// Takes what `parse` finds at the front of the bytes.
    ///
    /// - Parameter parse: nil while more bytes are needed; it takes what it used
    /// - Throws: when the connection ends before that, or nothing more comes.
    package func receive<Found: Sendable>(
        atMost limit: Duration = patience, _ parse: (inout Incoming) throws -> Found?
    ) async throws -> Found {
        let found: Found? = try await incoming.wait(atMost: limit) { incoming in
            if let found = try parse(&incoming) { return found }
            guard !incoming.isEnded else {
                let rest = String(decoding: incoming.rest.prefix(200), as: UTF8.self)
                throw TestFailure("the connection ended (\(incoming.error ?? "no error")); left over: \(rest)")
            }
            return nil
        }
        guard let found else {
            let rest = String(decoding: incoming.value.rest.prefix(200), as: UTF8.self)
            throw TestFailure("nothing came within \(limit); left over: \(rest)")
        }
        return found
    }

    package func receive(count: Int) async throws -> [UInt8] {
        try await receive { $0.rest.count >= count ? $0.take(count) : nil }
    }

    /// Everything up to the end of the connection.
    package func receiveToEnd(atMost limit: Duration = patience) async throws -> [UInt8] {
        let all: [UInt8]? = await incoming.wait(atMost: limit) { $0.isEnded ? $0.take(.max) : nil }
        guard let all else { throw TestFailure("the connection didn't end within \(limit)") }
        return all
    }

    /// Waits for the end, whatever comes before.
    package func ends(atMost limit: Duration = patience) async throws { _ = try await receiveToEnd(atMost: limit) }

    /// The last handler: gathers what comes.
    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let incoming: Watched<Incoming>
        private let isReadyAtOnce: Bool

        init(_ incoming: Watched<Incoming>, isReadyAtOnce: Bool) {
            self.incoming = incoming
            self.isReadyAtOnce = isReadyAtOnce
        }

        func channelActive(context: ChannelHandlerContext) {
            if isReadyAtOnce { incoming.change { $0.isReady = true } }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            incoming.change { $0.bytes.append(contentsOf: buffer.readableBytesView) }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            switch event {
            case is TLSHandshakeCompleted: incoming.change { $0.isReady = true }
            case ChannelEvent.inputClosed: incoming.change { $0.isEnded = true }
            default: break
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { incoming.change { $0.error = "\(error)" } }

        func channelInactive(context: ChannelHandlerContext) { incoming.change { $0.isEnded = true } }
    }
}
