// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import Testing

@testable import GatewayServer

@Suite struct DescriptorLimitTests {
    private func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    @Test func `the required descriptors are the sum of the limits on sockets, connections and processes`() {
        var configuration = GatewayConfiguration.defaults(for: .production)
        configuration.connections.maxSockets = 1000
        let alone = DescriptorLimit.needed(configuration, loops: 2)
        #expect(alone > 1000 && alone < 1200)
        configuration.upstreams["a"] = .init()
        #expect(DescriptorLimit.needed(configuration, loops: 2) == alone)
        configuration.upstreams["a"]?.kind = .openai
        configuration.upstreams["a"]?.maxConnections = 50
        #expect(DescriptorLimit.needed(configuration, loops: 2) == alone + 50)
        configuration.upstreams["a"]?.kind = .process
        configuration.upstreams["a"]?.maxProcesses = .max
        #expect(DescriptorLimit.needed(configuration, loops: 2) > 1 << 31)
    }

    @Test func `fewer descriptors than the limits require are a shortage; exactly as many are none`() {
        let configuration = GatewayConfiguration.defaults(for: .production)
        let needed = DescriptorLimit.needed(configuration, loops: 2)
        for (limit, isShort) in [(needed - 1, true), (needed, false), (needed + 1, false)] {
            let shortage = DescriptorLimit(limit: limit).shortage(configuration, loops: 2, now: at(1))
            #expect((shortage != nil) == isShort)
            if isShort { #expect(shortage?.contains("\(needed)") == true) }
        }
    }

    @Test func `an accept that failed for lack of descriptors is reported for a minute`() {
        let configuration = GatewayConfiguration.defaults(for: .production)
        let limit = DescriptorLimit(limit: .max)
        limit.accepting(failed: IOError(errnoCode: 103, reason: "accept"), now: at(1))
        #expect(limit.shortage(configuration, loops: 1, now: at(2)) == nil)
        limit.accepting(failed: IOError(errnoCode: 24, reason: "accept"), now: at(10))
        #expect(limit.shortage(configuration, loops: 1, now: at(69)) != nil)
        #expect(limit.shortage(configuration, loops: 1, now: at(70)) == nil)
    }

    @Test func `the limit of the process is read`() { #expect(DescriptorLimit().limit > 0) }
}
