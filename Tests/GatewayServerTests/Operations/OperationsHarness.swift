// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// A gateway without sessions.
struct NoSessions: SessionDirectory {
    func sessions(_ query: SessionQuery) async -> [LiveSession] { [] }
    func session(_ id: ULID, depth: ReportDepth) async -> LiveSession? { nil }
    func close(_ id: ULID) async -> Bool { false }
    func erase(_ id: ULID) async -> Bool { false }
    func purge() async {}
}

/// A running operations listener on a port that the system chose, with a client.
struct OperationsHarness: Sendable {
    let address: SocketAddress
    let health: HealthRegistry
    let token: TokenBox
    /// The number of reloads that have begun.
    let reloads: Counter

    final class Counter: Sendable {
        private let value = Atomic<Int>(0)

        func add() { value.add(1, ordering: .relaxed) }
        func get() -> Int { value.load(ordering: .relaxed) }
    }

    /// A token that a test can change while the listener runs.
    final class TokenBox: Sendable {
        private let value: Mutex<[OperationsToken]>

        init(_ value: String?) { self.value = Mutex(Self.tokens(value)) }

        func set(_ token: String?) { value.withLock { $0 = Self.tokens(token) } }
        func set(_ tokens: [OperationsToken]) { value.withLock { $0 = tokens } }
        func get() -> [OperationsToken] { value.withLock { $0 } }

        private static func tokens(_ token: String?) -> [OperationsToken] { token.map { [OperationsToken($0)] } ?? [] }
    }

    static let snapshot: GatewaySnapshot = {
        var snapshot = GatewaySnapshot(
            startedAt: 1_767_323_045_678, uptimeMilliseconds: 61_000, environment: "staging", version: "1.0", commit: "c4d668a")
        snapshot.connections.open = 3
        snapshot.connections.accepted = 10
        snapshot.connections.rejected = 4
        snapshot.connections.max = 1000
        snapshot.sessions.attached = 2
        snapshot.sessions.memoryBytes = 4096
        snapshot.messages.in = 5
        snapshot.messages.out = 6
        snapshot.bytes.in = 7
        snapshot.bytes.out = 8
        snapshot.errors = ["rate_limited": 2, "invalid_json": 1]
        snapshot.closes = ["1000": 1]
        snapshot.log.written = 9
        return snapshot
    }()

    /// Starts a listener, runs `body`, and shuts the listener down gracefully, which must complete even with open connections.
    static func run(
        token: String? = nil, requiresToken: Bool = false, limits: OperationsLimits = .init(), reload: ReloadReport = ReloadReport(),
        reloadsAfter release: Task<Void, Never>? = nil, access: AccessOperations? = nil, usage: (any UsageArchive)? = nil,
        features: [OperationsFeature] = [],
        _ body: @Sendable @escaping (OperationsHarness) async throws -> Void
    ) async throws {
        let health = HealthRegistry()
        let box = TokenBox(token)
        let reloads = Counter()
        let (addresses, running) = AsyncStream.makeStream(of: SocketAddress.self)
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = OperationsServer(
            address: SocketEndpoint(host: "127.0.0.1", port: 0), requiresToken: requiresToken, limits: limits, tokens: { box.get() },
            health: health,
            snapshot: { snapshot },
            sessions: SessionOperations(
                live: NoSessions(), archive: MemoryArchive(), cache: ReportCache(), depth: { .full }, logger: quiet),
            usage: usage,
            reload: {
                reloads.add()
                await release?.value
                return reload
            },
            resetUpstream: { name in
                name == "chat" ? UpstreamStatistics(name: name, kind: "openai", state: "ready", active: 0, waiting: 0, endpoints: []) : nil
            },
            access: access, features: features, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet,
            onRunning: { running.yield($0) })
        let group = ServiceGroup(services: [server], logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            for await address in addresses {
                try await body(OperationsHarness(address: address, health: health, token: box, reloads: reloads))
                break
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    /// Sends a request line and header fields, adding `Host` and `Connection: close` unless `raw`, and returns the response.
    func send(_ line: String, _ fields: [String] = [], body: String = "", raw: Bool = false) async throws -> HTTPReply {
        var text = line + " HTTP/1.1\r\n"
        if !raw { text += "Host: 127.0.0.1:\(address.port ?? 0)\r\nConnection: close\r\n" }
        for field in fields { text += field + "\r\n" }
        if !body.isEmpty { text += "Content-Length: \(body.utf8.count)\r\n" }
        return HTTPReply(try await exchange(text + "\r\n" + body))
    }

    /// Sends bytes on a new connection and returns all bytes until the listener closes it.
    func exchange(_ text: String) async throws -> String {
        let channel = try await connect()
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: text))
            var received = ByteBuffer()
            do {
                for try await bytes in inbound { received.writeImmutableBuffer(bytes) }
            } catch let error as IOError where error.errnoCode == 104 {
                // The listener closed with unread bytes, so the kernel sent a reset.
            }
            return String(buffer: received)
        }
    }

    func connect() async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(to: address) { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel(wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
            }
        }
    }
}

/// A parsed HTTP/1.1 response.
struct HTTPReply: Sendable {
    var status: Int
    /// The header fields, with names in lower case.
    var fields: [String: String] = [:]
    var body: String

    init(_ text: String) {
        let head = text.prefix(upTo: text.firstRange(of: "\r\n\r\n")?.lowerBound ?? text.endIndex)
        let lines = head.split(separator: "\r\n")
        self.status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon].lowercased()] = String(line[line.index(after: colon)...].drop { $0 == " " })
        }
        self.body = text.firstRange(of: "\r\n\r\n").map { String(text[$0.upperBound...]) } ?? ""
    }

    /// The body of a problem with its unique correlation id replaced by `ID`; nil unless the id has 26 characters.
    var problem: String? {
        guard fields["content-type"] == "application/problem+json", let key = body.firstRange(of: #""correlation_id":""#) else {
            return nil
        }
        let id = body[key.upperBound...].prefix { $0 != "\"" }
        guard id.utf8.count == 26 else { return nil }
        return body.replacing(id, with: "ID")
    }
}
