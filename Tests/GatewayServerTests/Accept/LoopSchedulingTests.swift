import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import GatewayServer

struct LoopSchedulingTests {
    @Test(.enabled("before Linux 6.12 nobody is told of turns") { LoopScheduling.turn() > 0 })
    func `event loops have short turns, and the threads that they start ordinary ones`() async throws {
        let ordinary = LoopScheduling.turn()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        #expect(try await loop.submit { LoopScheduling.turn() }.get() == ordinary)
        try await loop.submit { LoopScheduling.shortenTurns() }.get()
        #expect(try await loop.submit { LoopScheduling.turn() }.get() == LoopScheduling.turnNanoseconds)
        let started = loop.makePromise(of: UInt64.self)
        try await loop.submit { Thread { started.succeed(LoopScheduling.turn()) }.start() }.get()
        #expect(try await started.futureResult.get() == ordinary)
        try await group.shutdownGracefully()
    }
}
