// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import GatewayServer

struct LoopSchedulingTests {
    @Test(.enabled("time slices require Linux 6.12") { LoopScheduling.timeSlice() > 0 })
    func `event loop threads get short time slices; threads that they start get the default`() async throws {
        let standard = LoopScheduling.timeSlice()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        #expect(try await loop.submit { LoopScheduling.timeSlice() }.get() == standard)
        try await loop.submit { LoopScheduling.shortenTimeSlice() }.get()
        #expect(try await loop.submit { LoopScheduling.timeSlice() }.get() == LoopScheduling.timeSliceNanoseconds)
        let started = loop.makePromise(of: UInt64.self)
        try await loop.submit { Thread { started.succeed(LoopScheduling.timeSlice()) }.start() }.get()
        #expect(try await started.futureResult.get() == standard)
        try await group.shutdownGracefully()
    }
}
