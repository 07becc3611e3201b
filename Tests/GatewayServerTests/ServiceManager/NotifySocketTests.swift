// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import GatewayServer
import Logging
import ServiceLifecycle
import Support
import Synchronization
import Testing

/// Notifications to a datagram socket, as systemd has it.
@Suite struct NotifySocketTests {
    /// The service manager's end.
    private final class Receiver: Sendable {
        let descriptor: CInt

        init(_ name: String) throws {
            descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue), 0)
            var address = withUnsafeBytes(of: UInt16(AF_UNIX)) { Array($0) } + name.utf8
            if name.hasPrefix("@") { address[2] = 0 } else { address.append(0) }
            let result = address.withUnsafeBytes { buffer in
                bind(descriptor, buffer.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(buffer.count))
            }
            guard result == 0 else { throw TestFailure("bind: \(errno)") }
            // A `timeval` of 5 min: a task waits while the tests of the whole suite share the threads of the concurrency pool.
            let limit = [300, 0]
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, limit, socklen_t(MemoryLayout<Int>.size * 2))
        }

        deinit { close(descriptor) }

        /// Returns the next datagram; nil if none arrives within 5 min.
        ///
        /// It waits in a thread of its own: the tasks that send need the threads of the concurrency pool, which are as few as the cores.
        func next() async -> String? {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread { [self] in
                    var buffer = [UInt8](repeating: 0, count: 4096)
                    let count = recv(descriptor, &buffer, buffer.count, 0)
                    continuation.resume(returning: count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self))
                }
            }
        }
    }

    @Test func `notifications are one datagram, to a path or an abstract name`() async throws {
        let directory = try TemporaryDirectory()
        for name in ["\(directory.path)/notify", "@parley-test-\(UInt64.random(in: 0 ... .max))"] {
            let receiver = try Receiver(name)
            let socket = try #require(NotifySocket(environment: ["NOTIFY_SOCKET": name]))
            #expect(socket.send(["READY=1", "STATUS=ok"]))
            #expect(await receiver.next() == "READY=1\nSTATUS=ok")
            #expect(socket.send([]))
        }
    }

    @Test func `a missing or invalid NOTIFY_SOCKET is no socket, and a missing receiver is no failure`() throws {
        #expect(NotifySocket(environment: [:]) == nil)
        for name in ["", "/", "@", "relative", "vsock:2:1", "/" + String(repeating: "x", count: 107)] {
            #expect(NotifySocket(environment: ["NOTIFY_SOCKET": name]) == nil, "\(name)")
        }
        let socket = try #require(NotifySocket(environment: ["NOTIFY_SOCKET": "/" + String(repeating: "x", count: 106)]))
        #expect(!socket.send(["READY=1"]))
    }

    @Test func `the notifier reports readiness, a reload and the stop`() async throws {
        let directory = try TemporaryDirectory()
        let receiver = try Receiver("\(directory.path)/notify")
        let isReady = Atomic<Bool>(false)
        let notifier = ServiceNotifier(
            socket: NotifySocket(environment: ["NOTIFY_SOCKET": "\(directory.path)/notify"]), watchdog: Watchdog(interval: .seconds(60)),
            status: { .init(isReady: isReady.load(ordering: .relaxed), text: "text") },
            ticks: { [Instant(nanoseconds: LoopClock.monotonicNanoseconds())] })
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let group = ServiceGroup(services: [notifier], logger: quiet)
        let running = Task { try await group.run() }
        #expect(await receiver.next() == "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=text")
        isReady.store(true, ordering: .relaxed)
        #expect(await receiver.next() == "READY=1\nWATCHDOG=1")
        notifier.reloadBegan()
        #expect(await receiver.next()?.hasPrefix("RELOADING=1\nMONOTONIC_USEC=") == true)
        notifier.reloadEnded()
        #expect(await receiver.next() == "READY=1")
        notifier.stopping()
        #expect(await receiver.next() == "STOPPING=1")
        await group.triggerGracefulShutdown()
        try await running.value
    }
}
