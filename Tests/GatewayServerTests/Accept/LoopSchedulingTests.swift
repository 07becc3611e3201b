import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import GatewayServer

struct LoopSchedulingTests {
    @Test(.enabled("time slices require Linux 6.12") { LoopScheduling.turn() > 0 })
    func `event loop threads get short time slices; threads that they start get the default`() async throws {
        let standard = LoopScheduling.turn()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        #expect(try await loop.submit { LoopScheduling.turn() }.get() == standard)
        try await loop.submit { LoopScheduling.shortenTurns() }.get()
        #expect(try await loop.submit { LoopScheduling.turn() }.get() == LoopScheduling.turnNanoseconds)
        let started = loop.makePromise(of: UInt64.self)
        try await loop.submit { Thread { started.succeed(LoopScheduling.turn()) }.start() }.get()
        #expect(try await started.futureResult.get() == standard)
        try await group.shutdownGracefully()
    }
}
