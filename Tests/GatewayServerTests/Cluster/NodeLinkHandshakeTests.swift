// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import NIOEmbedded
import Testing

@testable import GatewayServer

@Suite("The handshake between nodes") struct NodeLinkHandshakeTests {
    private func isRejected(_ pair: NodeLinkPair, _ fault: NodeLinkFault) -> Bool {
        guard case .failure(let error)? = pair.dialed else { return false }
        return error as? NodeLinkError == .rejected(fault)
    }

    @Test func `two nodes with the same secret are linked, each with the other's id`() throws {
        let pair = try NodeLinkPair.established()
        #expect(pair.dialerOwner.links.map(\.peer) == [ULID(high: 0, low: 2)])
        #expect(pair.listenerOwner.links.map(\.peer) == [ULID(high: 0, low: 1)])
        #expect(try pair.dialed?.get().isDialer == true)
        #expect(pair.listenerOwner.links.first?.isDialer == false)
        #expect(pair.dialerOwner.failures.isEmpty && pair.listenerOwner.failures.isEmpty)
    }

    @Test func `single bytes make the same handshake`() throws {
        let pair = try NodeLinkPair()
        pair.pieces = 1
        try pair.run()
        #expect(pair.dialerOwner.links.count == 1 && pair.listenerOwner.links.count == 1)
    }

    @Test func `a listener sends nothing before a greeting, and no proof to a node with a wrong secret`() throws {
        let pair = try NodeLinkPair(dialer: NodeLinkPair.settings(1, secret: Array("0123456789abcdeX".utf8)))
        #expect(try pair.listener.readOutbound(as: ByteBuffer.self) == nil)
        try pair.run()
        #expect(pair.listenerOwner.failures == ["wrong cluster secret"])
        #expect(pair.listenerOwner.links.isEmpty && pair.dialerOwner.links.isEmpty)
        #expect(!pair.listener.isActive)
        var parser = NodeFrameParser()
        var offset = 0
        #expect(try parser.next(pair.fromListener, from: &offset)?.kind == .hello)
        #expect(try parser.next(pair.fromListener, from: &offset) == nil)
    }

    @Test func `without a secret on one side the nodes aren't linked`() throws {
        // An empty proof is one of a node that has certificates only.
        let pair = try NodeLinkPair()
        try pair.dialer.close().wait()
        let hello = NodeHello(node: ULID(high: 0, low: 9), nonce: [UInt8](repeating: 1, count: 32))
        try pair.receive(NodeFrame(.hello, payload: hello.payload).bytes + NodeFrame(.proof).bytes, at: pair.listener)
        #expect(pair.listenerOwner.failures == ["wrong cluster secret"])
    }

    @Test func `a recorded handshake is rejected when it is replayed`() throws {
        let recorded = try NodeLinkPair.established()
        let pair = try NodeLinkPair()
        pair.isCut = true
        try pair.run()
        try pair.receive(recorded.fromDialer, at: pair.listener)
        #expect(pair.listenerOwner.failures == ["wrong cluster secret"] && pair.listenerOwner.links.isEmpty)
    }

    @Test func `a listener's own greeting and proof are rejected when they are sent back`() throws {
        let recorded = try NodeLinkPair.established()
        let pair = try NodeLinkPair()
        pair.isCut = true
        try pair.run()
        try pair.receive(recorded.fromListener, at: pair.listener)
        #expect(pair.listenerOwner.failures == ["the address is this node's own"])
    }

    @Test func `the dialer accepts only the node that it expects`() throws {
        let pair = try NodeLinkPair(expecting: 3)
        try pair.run()
        #expect(isRejected(pair, .anotherNode))
        #expect(pair.listenerOwner.links.isEmpty)
    }

    @Test func `a node doesn't link to itself`() throws {
        let pair = try NodeLinkPair(listener: NodeLinkPair.settings(1), expecting: 1)
        try pair.run()
        #expect(pair.listenerOwner.failures == ["the address is this node's own"])
    }

    @Test func `another frame than the expected one ends the handshake`() throws {
        for kind in NodeFrame.Kind.allCases where kind != .hello {
            let pair = try NodeLinkPair()
            pair.isCut = true
            try pair.run()
            try pair.receive(NodeFrame(kind, stream: 1).bytes, at: pair.listener)
            #expect(pair.listenerOwner.failures == ["unexpected frame"], "\(kind)")
        }
    }

    @Test func `a frame above 256 bytes ends the handshake, before it is buffered`() throws {
        for (size, isBuffered) in [(256, true), (257, false)] {
            let pair = try NodeLinkPair()
            pair.isCut = true
            try pair.run()
            try pair.receive(Array(NodeFrame(.hello, payload: [UInt8](repeating: 0, count: size - 9)).bytes.prefix(4)), at: pair.listener)
            #expect(pair.listenerOwner.failures == (isBuffered ? [] : ["invalid frame"]))
        }
    }

    @Test func `an incomplete handshake ends after 5 s, also if bytes trickle in`() throws {
        let pair = try NodeLinkPair()
        pair.isCut = true
        try pair.run()
        let bytes = NodeFrame(.hello, payload: NodeHello(node: ULID(high: 0, low: 9), nonce: []).payload).bytes
        for second in 0..<4 {
            try pair.advance(.seconds(1))
            try pair.receive([bytes[second]], at: pair.listener)
        }
        try pair.advance(.milliseconds(999))
        #expect(pair.listener.isActive && pair.dialer.isActive)
        try pair.advance(.milliseconds(1))
        #expect(!pair.listener.isActive && !pair.dialer.isActive)
        #expect(pair.listenerOwner.failures == ["handshake timed out"])
        #expect(isRejected(pair, .handshakeTimeout))
    }
}
