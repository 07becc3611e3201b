import NIOCore
import NIOPosix
import Support
import Testing

@Suite(.bounded) struct DescriptorTests {
    @Test func `without descriptors accepting rests, and goes on by itself when some are free again`() async throws {
        let gateway = try await GatewayProcess(descriptors: 64)
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        var idle: [any Channel] = []
        for _ in 0..<100 { idle.append(try await bootstrap.connect(host: "127.0.0.1", port: gateway.port).get()) }
        _ = try await gateway.line("accept failed")
        for channel in idle { try await channel.close() }
        try await gateway.servesNextClient()
        let lines = try gateway.log().filter { $0["msg"] == "accept failed" }
        // One each 250 ms, not one each turn of the loop.
        #expect(lines.count < 40)
    }
}
