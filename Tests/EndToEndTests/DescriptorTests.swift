// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import Support
import Testing

@Suite(.bounded) struct DescriptorTests {
    @Test func `without free descriptors accepting pauses, and continues once some are free`() async throws {
        let gateway = try await GatewayProcess(descriptors: 64)
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        var idle: [any Channel] = []
        for _ in 0..<100 { idle.append(try await bootstrap.connect(host: "127.0.0.1", port: gateway.port).get()) }
        _ = try await gateway.line("accept failed")
        for channel in idle { try await channel.close() }
        try await gateway.expectNextClientServed()
        let lines = try gateway.log().filter { $0["msg"] == "accept failed" }
        // One line per 250 ms, not one per iteration of the event loop.
        #expect(lines.count < 40)
    }
}
