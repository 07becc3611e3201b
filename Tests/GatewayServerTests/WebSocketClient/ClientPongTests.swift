// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOEmbedded
import Testing

@testable import GatewayWebSocket
@testable import ParleyClient

/// Pongs to a gateway that sends pings and doesn't read.
@Suite struct ClientPongTests {
    private func ping(_ number: Int) -> [UInt8] {
        let payload = Array("\(number)".utf8)
        return [0x89, UInt8(payload.count)] + payload
    }

    private func pongs(_ channel: EmbeddedChannel) throws -> [String] {
        var pongs: [String] = []
        while var buffer = try channel.readOutbound(as: ByteBuffer.self) {
            while let head = buffer.readBytes(length: 6) {
                #expect(head[0] == 0x8A)
                let payload = buffer.readBytes(length: Int(head[1] & 0x7F)) ?? []
                pongs.append(String(decoding: payload.enumerated().map { $1 ^ head[2 + $0 % 4] }, as: UTF8.self))
            }
        }
        return pongs
    }

    @Test func `pings received while the channel isn't writable get one pong, for the newest`() throws {
        let handler = ClientSocketHandler(
            inbox: ClientInbox(maximumEvents: 8, maximumBytes: 1000), options: ClientWebSocketOptions(), compression: nil,
            deflate: SharedDeflate())
        let channel = EmbeddedChannel(handler: handler)
        handler.begin()
        try channel.writeInbound(ByteBuffer(bytes: ping(1) + ping(2)))
        #expect(try pongs(channel) == ["1", "2"])
        channel.isWritable = false
        for number in 3...10_000 { try channel.writeInbound(ByteBuffer(bytes: ping(number))) }
        #expect(try pongs(channel) == [])
        channel.isWritable = true
        channel.pipeline.fireChannelWritabilityChanged()
        #expect(try pongs(channel) == ["10000"])
        channel.pipeline.fireChannelWritabilityChanged()
        try channel.writeInbound(ByteBuffer(bytes: ping(7)))
        #expect(try pongs(channel) == ["7"])
        _ = try channel.finish()
    }
}
