// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import NIOEmbedded
import Testing

@testable import GatewayServer

@Suite("Streams between nodes") struct NodeStreamTests {
    private let pair: NodeLinkPair
    private let near: NodeStream
    private let far: NodeStream
    private let nearReader = StreamRecorder()
    private let farReader = StreamRecorder()

    init() throws {
        pair = try .established()
        (near, far) = try pair.open(label: [1, 2])
        nearReader.attach(to: near, on: pair.loop)
        farReader.attach(to: far, on: pair.loop)
    }

    private func consumeAll(_ reader: StreamRecorder, _ stream: NodeStream) throws {
        let cost = reader.messages.reduce(0) { $0 + NodeStream.cost(of: $1) }
        reader.messages = []
        stream.consumed(cost)
        try pair.run()
    }

    @Test func `messages arrive in order in both directions`() throws {
        pair.pieces = 5
        for number in 0..<100 { near.send([UInt8(number)]) }
        for number in 0..<50 { far.send([UInt8(number), 1]) }
        try pair.run()
        #expect(farReader.messages == (0..<100).map { [UInt8($0)] })
        #expect(nearReader.messages == (0..<50).map { [UInt8($0), 1] })
        #expect(pair.listenerOwner.labels == [[1, 2]])
    }

    @Test func `a reader that doesn't consume limits the sender to the window`() throws {
        let message = [UInt8](repeating: 1, count: 10_000 - 32)
        var sent = 0
        while near.send(message) { sent += 1 }
        // The first messages wait for the event loop, which hasn't run yet.
        #expect(sent == 26)
        try pair.run()
        for _ in 0..<100 { near.send(message) }
        try pair.run()
        // 27 messages exceed the window of 262144 bytes; one message may.
        #expect(farReader.messages.count == 27)
        #expect(nearReader.rooms == 1)
        try consumeAll(farReader, far)
        #expect(farReader.messages.count == 27)
        for _ in 0..<4 { try consumeAll(farReader, far) }
        #expect(nearReader.rooms == 2)
        #expect(near.send(message))
    }

    @Test func `small messages use up the window, too`() throws {
        for _ in 0..<20_000 { near.send([]) }
        try pair.run()
        #expect(farReader.messages.count == 262_144 / 32)
    }

    @Test func `a stream whose window is used up doesn't delay another one`() throws {
        near.send([UInt8](repeating: 0, count: 300_000))
        near.send([1])
        let (other, otherFar) = try pair.open()
        let reader = StreamRecorder()
        reader.attach(to: otherFar, on: pair.loop)
        other.send([2])
        try pair.run()
        #expect(reader.messages == [[2]])
        #expect(farReader.messages.count == 1)
    }

    @Test func `a sender that ignores the room is stopped at the hard limit`() throws {
        let message = [UInt8](repeating: 0, count: 1 << 20)
        for _ in 0..<20 { near.send(message) }
        try pair.run()
        #expect(nearReader.endings == [.overflow])
        #expect(farReader.endings == [.overflow])
    }

    @Test func `a peer that ignores the window loses the link`() throws {
        let frame = NodeFrame(.data, stream: near.number, payload: [UInt8](repeating: 0, count: 262_144 - 32)).bytes
        try pair.receive(frame, at: pair.listener)
        #expect(pair.listenerOwner.closed.isEmpty)
        try pair.receive(NodeFrame(.data, stream: near.number).bytes, at: pair.listener)
        #expect(pair.listenerOwner.closed == ["the peer ignored a stream's window"])
        try pair.run()
        #expect(farReader.endings == [.linkLost] && nearReader.endings == [])
    }

    @Test func `credit beyond the window is a fault`() throws {
        try pair.receive(NodeFrame(.credit, stream: near.number, payload: NodeFrame.credit(1)).bytes, at: pair.dialer)
        #expect(pair.dialerOwner.closed == ["the peer ignored a stream's window"])
    }

    @Test func `nothing is written while the socket doesn't accept more`() throws {
        pair.dialer.isWritable = false
        near.send([1])
        near.send([2])
        try pair.run()
        #expect(farReader.messages.isEmpty)
        pair.dialer.isWritable = true
        pair.dialer.pipeline.fireChannelWritabilityChanged()
        try pair.run()
        #expect(farReader.messages == [[1], [2]])
    }

    @Test(arguments: StreamEnding.allCases.filter { $0 != .linkLost })
    func `a stream is closed after its messages, with a reason`(ending: StreamEnding) throws {
        near.send([1])
        near.close(ending)
        near.send([2])
        try pair.run()
        #expect(farReader.messages == [[1]] && farReader.endings == [ending])
        #expect(nearReader.endings.isEmpty)
        far.send([3])
        try pair.run()
        #expect(nearReader.messages.isEmpty && pair.dialerOwner.closed.isEmpty)
    }

    @Test func `messages that cross a close are dropped, and the link stays`() throws {
        near.close(.cancelled)
        far.send([1])
        far.consumed(0)
        try pair.run()
        #expect(nearReader.messages.isEmpty && farReader.endings == [.cancelled])
        #expect(pair.dialerOwner.closed.isEmpty && pair.listenerOwner.closed.isEmpty)
    }

    @Test func `a broken link ends all streams once, after the messages that have arrived`() throws {
        near.send([1])
        try pair.run()
        far.detach()
        near.send([2])
        try pair.run()
        try pair.dialer.close().wait()
        try pair.listener.close().wait()
        try pair.run()
        #expect(nearReader.endings == [.linkLost])
        let late = StreamRecorder()
        late.attach(to: far, on: pair.loop)
        try pair.run()
        #expect(late.messages == [[2]] && late.endings == [.linkLost] && farReader.endings.isEmpty)
        near.send([3])
        near.close(.done)
        try pair.run()
        #expect(nearReader.endings == [.linkLost])
    }

    @Test func `a silent peer is dead after three intervals, and both sides learn it`() throws {
        for _ in 0..<10 { try pair.advance(.seconds(1)) }
        #expect(pair.dialerOwner.closed.isEmpty && pair.listenerOwner.closed.isEmpty)
        pair.isCut = true
        try pair.advance(.seconds(1))
        try pair.advance(.seconds(1))
        try pair.advance(.seconds(1))
        #expect(pair.dialerOwner.closed.isEmpty)
        try pair.advance(.seconds(1))
        #expect(pair.dialerOwner.closed == ["no data from the peer"] && pair.listenerOwner.closed == ["no data from the peer"])
        #expect(nearReader.endings == [.linkLost] && farReader.endings == [.linkLost])
    }

    @Test(arguments: [
        NodeFrame(.data, stream: 99), NodeFrame(.data, stream: 2), NodeFrame(.data), NodeFrame(.open, stream: 2),
        NodeFrame(.open, stream: 1), NodeFrame(.credit, stream: 3, payload: [1]), NodeFrame(.hello), NodeFrame(.proof),
        NodeFrame(.response, stream: 1), NodeFrame(.request, stream: 1),
    ])
    func `a frame that doesn't fit the state closes the link with a reason`(frame: NodeFrame) throws {
        try pair.receive(frame.bytes, at: pair.listener)
        #expect(pair.listenerOwner.closed == ["unexpected frame"])
        #expect(!pair.listener.isActive)
    }

    @Test func `a frame above 4 MiB closes the link from its length alone`() throws {
        try pair.receive([1, 0, 64, 0], at: pair.listener)
        #expect(pair.listenerOwner.closed == ["invalid frame"])
    }

    @Test func `a retired link finishes its streams, opens no more, and closes`() throws {
        let link = try #require(pair.dialerOwner.links.first)
        let other = try #require(pair.listenerOwner.links.first)
        link.retire()
        try pair.run()
        #expect(throws: NodeLinkError.retired) { try link.handler.value.open(label: []) }
        #expect(throws: NodeLinkError.retired) { try other.handler.value.open(label: []) }
        near.send([1])
        try pair.run()
        #expect(farReader.messages == [[1]])
        #expect(pair.dialer.isActive && pair.listener.isActive)
        near.close(.done)
        try pair.run()
        #expect(farReader.endings == [.done])
        #expect(!pair.dialer.isActive && !pair.listener.isActive)
    }
}
