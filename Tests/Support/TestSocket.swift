// SPDX-License-Identifier: Apache-2.0

package import GatewayTLS
import Glibc
import NIOCore
import NIOPosix

/// A client connection for raw bytes, over TLS or plain TCP.
///
/// Each wait has a timeout, so that a broken gateway fails the test instead of blocking it.
package final class TestSocket: Sendable {
    package struct Incoming: Sendable {
        package fileprivate(set) var bytes: [UInt8] = []
        /// Whether the peer has sent its last byte.
        package fileprivate(set) var isEnded = false
        /// The error of the connection, if any.
        package fileprivate(set) var error: String?
        fileprivate var isReady = false
        /// Number of bytes consumed from the front. They are removed in large batches, because each removal moves the rest.
        fileprivate var consumed = 0

        /// The bytes that aren't consumed yet.
        package var rest: ArraySlice<UInt8> { bytes[consumed...] }

        /// Consumes and returns up to `count` bytes.
        package mutating func consume(_ count: Int) -> [UInt8] {
            let end = consumed + min(count, bytes.count - consumed)
            let result = Array(bytes[consumed..<end])
            consumed = end
            if consumed > 65536, consumed > bytes.count / 2 {
                bytes.removeFirst(consumed)
                consumed = 0
            }
            return result
        }
    }

    /// The default timeout of each wait in a test.
    package static let defaultTimeout = Duration.seconds(45)

    package let incoming: AwaitableValue<Incoming>
    private let channel: any Channel

    private init(_ channel: any Channel, incoming: AwaitableValue<Incoming>) {
        self.channel = channel
        self.incoming = incoming
    }

    deinit { channel.close(promise: nil) }

    package enum Security: Sendable {
        /// TLS; any certificate is accepted.
        case unverified
        /// TLS; the certificate must be for `localhost`, and be the one in this PEM file or issued by it.
        case trusting(path: String)
        /// TLS with this server name (SNI) and minimum version; any certificate is accepted.
        case named(String, minimum: TLSVersion)
        /// Plain TCP.
        case none
    }

    /// Connects and completes the TLS handshake.
    ///
    /// - Parameters:
    ///   - receiveBuffer: the size of the kernel's receive buffer (SO_RCVBUF) in bytes; nil for the kernel's default
    ///   - address: the source address; nil for 127.0.0.1
    ///   - preamble: bytes to send before the TLS handshake, such as a PROXY header
    package static func connect(
        port: Int, _ security: Security = .unverified, receiveBuffer: Int? = nil, from address: String? = nil, preamble: [UInt8] = []
    ) async throws -> TestSocket {
        let incoming = AwaitableValue(Incoming())
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
                    if !preamble.isEmpty { try channel.pipeline.syncOperations.addHandler(Preamble(preamble)) }
                    if let context {
                        let tls = try TLSHandler(client: context, buffers: TLSBuffers())
                        try channel.pipeline.syncOperations.addHandler(tls)
                    }
                    try channel.pipeline.syncOperations.addHandler(Collector(incoming, isReadyWhenActive: context == nil))
                }
            }
        if let receiveBuffer {
            bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: SocketOptionValue(receiveBuffer))
        }
        if let address { bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: address, port: 0)) }
        let channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
        let socket = TestSocket(channel, incoming: incoming)
        let isReady: Bool? = await incoming.wait(timeout: defaultTimeout) { $0.isReady ? true : $0.isEnded ? false : nil }
        guard isReady == true else { throw TestFailure("handshake failed: \(incoming.value.error ?? "the peer closed the connection")") }
        return socket
    }

    // MARK: Sending

    /// Sends bytes, in one TLS record if they fit, and waits until the kernel has accepted them.
    package func send(_ bytes: some Sequence<UInt8>) async throws {
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
    }

    /// Sends bytes without waiting, for tests in which the peer stops reading.
    package func push(_ bytes: some Sequence<UInt8>) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

    /// Sends close_notify and shuts down the sending side of the TCP connection.
    package func finishSending() async throws { try await channel.close(mode: .output).get() }

    /// Closes the connection in an orderly way.
    package func close() async { try? await channel.close().get() }

    /// Resets the connection (RST instead of FIN).
    package func reset() async {
        try? await (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        try? await channel.close().get()
    }

    // MARK: Receiving

    /// Stops reading from the kernel's receive buffer.
    package func pauseReading() async throws { try await channel.setOption(.autoRead, value: false).get() }

    package func resumeReading() async throws {
        try await channel.setOption(.autoRead, value: true).get()
        channel.read()
    }

    /// Waits until `parse` finds its result at the front of the received bytes.
    ///
    /// - Parameter parse: consumes the bytes that it uses; returns nil while it needs more.
    /// - Throws: ``TestFailure`` if the connection ends first, or at the timeout
    package func receive<Found: Sendable>(
        timeout limit: Duration = defaultTimeout, _ parse: (inout Incoming) throws -> Found?
    ) async throws -> Found {
        let found: Found? = try await incoming.wait(timeout: limit) { incoming in
            if let found = try parse(&incoming) { return found }
            guard !incoming.isEnded else {
                let rest = String(decoding: incoming.rest.prefix(200), as: UTF8.self)
                throw TestFailure("the connection ended (\(incoming.error ?? "no error")); unread: \(rest)")
            }
            return nil
        }
        guard let found else {
            let rest = String(decoding: incoming.value.rest.prefix(200), as: UTF8.self)
            throw TestFailure("timeout after \(limit); unread: \(rest)")
        }
        return found
    }

    package func receive(count: Int) async throws -> [UInt8] {
        try await receive { $0.rest.count >= count ? $0.consume(count) : nil }
    }

    /// Receives everything up to the end of the connection.
    package func receiveToEnd(timeout limit: Duration = defaultTimeout) async throws -> [UInt8] {
        let all: [UInt8]? = await incoming.wait(timeout: limit) { $0.isEnded ? $0.consume(.max) : nil }
        guard let all else { throw TestFailure("the connection didn't end within \(limit)") }
        return all
    }

    /// Waits for the end of the connection, and discards the bytes received before it.
    package func waitForEnd(timeout limit: Duration = defaultTimeout) async throws { _ = try await receiveToEnd(timeout: limit) }

    /// The last handler of the pipeline: collects the received bytes.
    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let incoming: AwaitableValue<Incoming>
        private let isReadyWhenActive: Bool

        init(_ incoming: AwaitableValue<Incoming>, isReadyWhenActive: Bool) {
            self.incoming = incoming
            self.isReadyWhenActive = isReadyWhenActive
        }

        func channelActive(context: ChannelHandlerContext) {
            if isReadyWhenActive { incoming.change { $0.isReady = true } }
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

/// Sends bytes as soon as the connection is open, before the handlers after it.
///
/// The bytes go directly to the kernel: during `channelActive` the channel queues writes, while ``TLSHandler`` already sends its hello directly.
private final class Preamble: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func channelActive(context: ChannelHandlerContext) {
        let sent = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { descriptor in
            Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        }
        if sent == bytes.count {
            context.fireChannelActive()
        } else {
            context.fireErrorCaught(TestFailure("the preamble wasn't sent"))
            context.close(promise: nil)
        }
    }
}
