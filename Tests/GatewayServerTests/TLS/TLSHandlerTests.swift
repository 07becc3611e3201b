// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOEmbedded
import Support
import Testing

@testable import GatewayTLS

@Suite struct TLSHandlerTests {
    let certificates: TestCertificates

    init() throws {
        certificates = try TestCertificates()
    }

    @Test(arguments: [Int.max, 1, 7, 100])
    func `a handshake completes however the bytes are split, and data is transferred both ways`(chunk: Int) throws {
        let pair = try TLSPair(certificates, applicationProtocols: ["http/1.1"])
        try pair.pump(chunk: chunk)
        let event = try #require(pair.serverSide.completed.first)
        #expect(pair.serverSide.completed.count == 1)
        #expect(pair.clientSide.completed.count == 1)
        #expect(event.version == .v1_3)
        #expect(event.cipher.hasPrefix("TLS_"))
        #expect(event.applicationProtocol == "http/1.1")
        #expect(event.serverName == "localhost")
        #expect(!event.isResumed)

        try pair.client.writeOutbound(ByteBuffer(string: "from the client"))
        try pair.server.writeOutbound(ByteBuffer(string: "from the server"))
        try pair.pump(chunk: chunk)
        #expect(String(decoding: pair.serverSide.received, as: UTF8.self) == "from the client")
        #expect(String(decoding: pair.clientSide.received, as: UTF8.self) == "from the server")
        #expect(pair.serverSide.errors.isEmpty && pair.clientSide.errors.isEmpty)
    }

    @Test(arguments: [Int.max, 1000, 16383])
    func `a megabyte is transferred both ways`(chunk: Int) throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        try pair.client.writeOutbound(ByteBuffer(bytes: bytes))
        try pair.server.writeOutbound(ByteBuffer(bytes: bytes.reversed()))
        pair.clearWire()
        try pair.pump(chunk: chunk)
        #expect(pair.serverSide.received == bytes)
        #expect(pair.clientSide.received == bytes.reversed())
        // The minimum number of records: all but the last are full.
        #expect(TLSPair.records(pair.fromClient).count == (1_000_000 + 16383) / 16384)
    }

    @Test(arguments: [
        (sizes: [10, 20, 30], records: 1), ([16384], 1), ([16385], 2), ([16000, 384], 1), ([16000, 385], 2), ([0, 5, 0], 1),
    ])
    func `the messages of one flush share records`(sizes: [Int], records: Int) throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        pair.clearWire()
        for size in sizes { pair.server.write(ByteBuffer(repeating: 0x61, count: size), promise: nil) }
        pair.server.flush()
        try pair.pump()
        #expect(TLSPair.records(pair.fromServer).count == records)
        #expect(pair.clientSide.received.count == sizes.reduce(0, +))
    }

    @Test func `a hundred small writes and a large one keep their order`() throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        var expected: [UInt8] = []
        for index in 0..<100 {
            let bytes = [UInt8](repeating: UInt8(index), count: index == 50 ? 200_000 : index * 7)
            expected += bytes
            pair.client.write(ByteBuffer(bytes: bytes), promise: nil)
        }
        pair.client.flush()
        try pair.pump()
        #expect(pair.serverSide.received == expected)
    }

    @Test func `writes before the handshake wait for its end; unflushed writes wait for a flush`() throws {
        let pair = try TLSPair(certificates)
        pair.client.write(ByteBuffer(string: "one "), promise: nil)
        pair.client.flush()
        pair.client.write(ByteBuffer(string: "two"), promise: nil)
        try pair.pump()
        #expect(String(decoding: pair.serverSide.received, as: UTF8.self) == "one ")
        pair.client.flush()
        try pair.pump()
        #expect(String(decoding: pair.serverSide.received, as: UTF8.self) == "one two")
    }

    @Test(arguments: [1, 2, 5]) func `every promise completes when its ciphertext is written`(count: Int) throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        var done = 0
        for index in 0..<count {
            let promise = pair.server.eventLoop.makePromise(of: Void.self)
            promise.futureResult.assumeIsolated().whenSuccess { done += 1 }
            pair.server.write(ByteBuffer(repeating: 1, count: index == 1 ? 100_000 : 10), promise: promise)
        }
        let empty = pair.server.eventLoop.makePromise(of: Void.self)
        pair.server.write(ByteBuffer(), promise: empty)
        #expect(done == 0)
        pair.server.flush()
        try empty.futureResult.wait()
        #expect(done == count)
    }

    @Test func `an empty write completes without sending a record`() throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        pair.clearWire()
        try pair.server.writeAndFlush(ByteBuffer()).wait()
        try pair.pump()
        #expect(pair.fromServer.isEmpty)
    }

    @Test func `pending writes fail when the channel closes`() throws {
        let pair = try TLSPair(certificates)
        let write = pair.client.write(ByteBuffer(string: "never"))
        pair.client.flush()
        pair.client.close(promise: nil)
        #expect(throws: ChannelError.ioOnClosedChannel) { try write.wait() }
        #expect(throws: (any Error).self) { try pair.client.writeAndFlush(ByteBuffer(string: "late")).wait() }
    }

    @Test func `a retained slice isn't changed by later reads`() throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        pair.serverSide.keepsReads = true
        for index in 0..<20 {
            try pair.client.writeOutbound(ByteBuffer(repeating: UInt8(index), count: 1000 + index * 500))
            try pair.pump()
        }
        #expect(pair.serverSide.reads.count == 20)
        for (index, read) in pair.serverSide.reads.enumerated() {
            #expect(Array(read.readableBytesView) == [UInt8](repeating: UInt8(index), count: 1000 + index * 500))
        }
    }

    @Test func `the records of one socket read are passed on in one read`() throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        pair.serverSide.keepsReads = true
        var wire = ByteBuffer()
        for index in 0..<10 {
            pair.client.writeAndFlush(ByteBuffer(string: "message \(index);"), promise: nil)
            while var part = try pair.client.readOutbound(as: ByteBuffer.self) { wire.writeBuffer(&part) }
        }
        try pair.server.writeInbound(wire)
        #expect(pair.serverSide.reads.count == 1)
        #expect(pair.serverSide.received.count == 100)
    }

    @Test func `replies written while reading are sent, and a close ends the reading`() throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        var reads = 0
        pair.serverSide.onRead = { context, buffer in
            reads += 1
            context.writeAndFlush(NIOAny(buffer), promise: nil)
            if reads == 2 { context.close(promise: nil) }
        }
        try pair.client.writeOutbound(ByteBuffer(string: "first"))
        try pair.pump()
        #expect(String(decoding: pair.clientSide.received, as: UTF8.self) == "first")
        // More than one buffer of plaintext in one socket read: the second part must not be read after the close.
        var wire = ByteBuffer()
        pair.client.writeAndFlush(ByteBuffer(repeating: 7, count: 200_000), promise: nil)
        while var part = try pair.client.readOutbound(as: ByteBuffer.self) { wire.writeBuffer(&part) }
        try pair.server.writeInbound(wire)
        #expect(reads == 2)
        #expect(!pair.server.isActive)
        #expect(pair.serverSide.errors.isEmpty)
    }

    @Test func `bytes received while earlier bytes are delivered are read in order`() throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        var wires: [ByteBuffer] = []
        for text in ["first ", "second ", "third"] {
            try pair.client.writeOutbound(ByteBuffer(string: text))
            wires.append(try #require(try pair.client.readOutbound(as: ByteBuffer.self)))
        }
        var rest = wires.dropFirst()
        let server = pair.server
        pair.serverSide.onRead = { _, _ in
            while let next = rest.popFirst() { _ = try? server.writeInbound(next) }
        }
        try server.writeInbound(wires[0])
        #expect(String(decoding: pair.serverSide.received, as: UTF8.self) == "first second third")
    }

    @Test func `an incomplete record makes the handler read again while a read is pending`() throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        try pair.client.writeOutbound(ByteBuffer(string: "whole"))
        var wire = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
        let slice = wire.readSlice(length: 10)
        let half = try #require(slice)
        pair.server.read()
        let reads = pair.serverCloses.reads
        try pair.server.writeInbound(half)
        #expect(pair.serverCloses.reads == reads + 1)
        try pair.server.writeInbound(wire)
        #expect(pair.serverCloses.reads == reads + 1)
        #expect(String(decoding: pair.serverSide.received, as: UTF8.self) == "whole")
    }

    /// A record header has 5 bytes.
    @Test(arguments: [1, 4, 5, 6, 20]) func `the bytes of an incomplete record are counted until it is complete`(count: Int) throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        let handler = try pair.server.pipeline.syncOperations.handler(type: TLSHandler.self)
        #expect(handler.receivedBytes == 0)
        try pair.client.writeOutbound(ByteBuffer(string: "first"))
        try pair.client.writeOutbound(ByteBuffer(string: "second"))
        var wire = ByteBuffer()
        while var record = try pair.client.readOutbound(as: ByteBuffer.self) { wire.writeBuffer(&record) }
        let length = try #require(wire.getInteger(at: wire.readerIndex + 3, as: UInt16.self))
        let record = wire.readSlice(length: 5 + Int(length))
        let start = wire.readSlice(length: count)
        let next = wire.readSlice(length: 1)
        let (whole, part, more) = (try #require(record), try #require(start), try #require(next))
        // The partial record follows a complete one.
        var both = whole
        both.writeImmutableBuffer(part)
        try pair.server.writeInbound(ByteBuffer(bytes: both.readableBytesView))
        #expect(String(decoding: pair.serverSide.received, as: UTF8.self) == "first")
        #expect(handler.receivedBytes == count)
        try pair.server.writeInbound(ByteBuffer(bytes: more.readableBytesView))
        #expect(handler.receivedBytes == count + 1)
        try pair.server.writeInbound(ByteBuffer(bytes: wire.readableBytesView))
        #expect(String(decoding: pair.serverSide.received, as: UTF8.self) == "firstsecond")
        #expect(handler.receivedBytes == 0)
    }
}
