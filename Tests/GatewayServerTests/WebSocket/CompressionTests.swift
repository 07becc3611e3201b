// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayWebSocket
import NIOCore
import Support
import Testing

@Suite struct InflationTests {
    private static let shared = CompressionAgreement(serverNoContextTakeover: true, clientNoContextTakeover: true)
    private static let dedicated = CompressionAgreement(serverNoContextTakeover: false, clientNoContextTakeover: false)
    /// RFC 7692 §7.2.3.1.
    private static let hello: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]

    private func entries(_ bytes: [UInt8], _ agreement: CompressionAgreement = shared, limit: Int = 1 << 20) -> [Transcript.Entry] {
        var transcript = Transcript(maxMessageBytes: limit, compression: agreement)
        transcript.feed(bytes)
        var bytewise = Transcript(maxMessageBytes: limit, compression: agreement)
        for piece in bytes.pieces(of: 1) { bytewise.feed(piece) }
        #expect(bytewise.entries == transcript.entries, "the result differs when fed byte by byte")
        return transcript.entries
    }

    @Test(
        arguments: [
            [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],
            // A stored block, a block with BFINAL, two blocks: RFC 7692 §7.2.3.3–5. The last case has no block after the final one.
            [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00],
            [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00],
            [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],
            [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],
        ] as [[UInt8]], [true, false])
    func `the examples of RFC 7692 inflate`(payload: [UInt8], isShared: Bool) {
        let frame = FrameBytes.frame(0xC1, payload)
        let agreement = isShared ? Self.shared : Self.dedicated
        #expect(entries(frame + frame + FrameBytes.text("plain"), agreement) == [.text("Hello"), .text("Hello"), .text("plain")])
    }

    @Test func `a compressed message may be fragmented with control frames between`() {
        let parts = Self.hello.pieces(of: 1)
        var bytes = FrameBytes.frame(0x41, [])
        for part in parts { bytes += FrameBytes.frame(0x00, part) + FrameBytes.ping([1]) }
        bytes += FrameBytes.frame(0x80, [])
        #expect(entries(bytes) == parts.map { _ in .ping([1]) } + [.text("Hello")])
    }

    @Test(arguments: [[0x00], [0x02, 0x00], []] as [[UInt8]])
    func `an empty message may be compressed`(payload: [UInt8]) {
        #expect(entries(FrameBytes.frame(0xC2, payload) + FrameBytes.frame(0xC1, Self.hello)) == [.binary([]), .text("Hello")])
    }

    @Test func `RSV1 is allowed only on the first frame of a message and only with the extension`() {
        #expect(entries(FrameBytes.frame(0x41, []) + FrameBytes.frame(0xC0, Self.hello)) == [.error(.reservedBits)])
        #expect(entries(FrameBytes.frame(0x01, []) + FrameBytes.frame(0xC0, Self.hello)) == [.error(.reservedBits)])
        #expect(entries(FrameBytes.frame(0xC9, [])) == [.error(.reservedBits)])
        #expect(Transcript.entries(FrameBytes.frame(0xC1, Self.hello)) == [.error(.reservedBits)])
    }

    @Test(
        arguments: [
            [0xFF, 0xFF, 0xFF], [0x06], [0xF2, 0x48, 0xCD], [0x00, 0x05, 0x00, 0x00, 0x00], [0xF2, 0x48, 0xCD, 0xC9, 0xC9],
            // A back-reference beyond the beginning of the message.
            [0xF2, 0x00, 0x11, 0x00, 0x00],
        ] as [[UInt8]])
    func `invalid DEFLATE is rejected and doesn't affect the next connection of the loop`(payload: [UInt8]) {
        let loop = SharedDeflate()
        var first = Transcript(compression: Self.shared, shared: loop)
        first.feed(FrameBytes.frame(0xC1, payload))
        #expect(first.entries == [.error(.invalidDeflate)])
        var second = Transcript(compression: Self.shared, shared: loop)
        second.feed(FrameBytes.frame(0xC1, Self.hello))
        #expect(second.entries == [.text("Hello")])
    }

    @Test func `context is kept only if context takeover was negotiated`() {
        // RFC 7692 §7.2.3.2: the second "Hello" refers to the first.
        let bytes = FrameBytes.frame(0xC1, Self.hello) + FrameBytes.frame(0xC1, [0xF2, 0x00, 0x11, 0x00, 0x00])
        #expect(entries(bytes, Self.dedicated) == [.text("Hello"), .text("Hello")])
        #expect(entries(bytes, Self.shared) == [.text("Hello"), .error(.invalidDeflate)])
    }

    @Test func `text is validated as UTF-8 after inflation`() {
        // Stored blocks: an incomplete character, and a complete one.
        #expect(entries(FrameBytes.frame(0xC1, [0x00, 0x01, 0x00, 0xFE, 0xFF, 0xC3, 0x00])) == [.error(.invalidUTF8)])
        #expect(entries(FrameBytes.frame(0xC1, [0x00, 0x02, 0x00, 0xFD, 0xFF, 0xC3, 0xA9, 0x00])) == [.text("é")])
        #expect(entries(FrameBytes.frame(0xC2, [0x00, 0x01, 0x00, 0xFE, 0xFF, 0xC3, 0x00])) == [.binary([0xC3])])
    }

    /// Returns a compressed message of zeros, as the gateway's client sends it.
    private func bomb(_ count: Int) -> [UInt8] {
        var writer = MessageWriter(role: .client, compression: (Self.shared, SharedDeflate()))
        var output = ByteBuffer()
        let zeros = [UInt8](repeating: 0, count: count)
        writer.write(.binary, zeros.span.bytes, mayCompress: true, to: &output)
        return Array(output.readableBytesView)
    }

    @Test(arguments: [Self.shared, Self.dedicated])
    func `inflation stops at the limit, which bounds its memory`(agreement: CompressionAgreement) {
        let bomb = bomb(20_000_000)
        #expect(bomb.count * 200 < 20_000_000)
        let loop = SharedDeflate()
        for limit in [100_000, 1_000_000] {
            var transcript = Transcript(maxMessageBytes: limit, compression: agreement, shared: loop)
            transcript.feed(bomb)
            #expect(transcript.entries == [.error(.inflatedMessageTooBig)])
            #expect(transcript.bufferedBytes == 0)
        }
        #expect(loop.byteCount < 400_000, "the loop keeps more than its zlib state and a small buffer")
    }

    @Test func `compressed messages are skipped on request, but not with context takeover`() {
        var transcript = Transcript(compression: Self.shared)
        transcript.skipsCompressed = true
        for part in (bomb(1000) + FrameBytes.text("plain") + FrameBytes.frame(0xC1, Self.hello)).pieces(of: 7) { transcript.feed(part) }
        #expect(transcript.entries == [.text("plain")] && transcript.takeSkipped() == 2 && transcript.takeSkipped() == 0)
        transcript.skipsCompressed = false
        transcript.skipsCompressedBinary = true
        transcript.feed(bomb(1000))
        #expect(transcript.takeSkipped() == 1)
        transcript.feed(FrameBytes.frame(0xC1, Self.hello))
        #expect(transcript.entries == [.text("plain"), .text("Hello")] && transcript.bufferedBytes == 0)
        var dedicated = Transcript(compression: Self.dedicated)
        #expect(transcript.canSkip && !dedicated.canSkip)
        dedicated.skipsCompressed = true
        dedicated.feed(FrameBytes.frame(0xC1, Self.hello))
        #expect(dedicated.entries == [.text("Hello")])
    }

    @Test func `a message may inflate to exactly the limit`() {
        let bytes = bomb(100_000)
        #expect(entries(bytes, limit: 100_001) == [.binary([UInt8](repeating: 0, count: 100_000))])
        #expect(entries(bytes, limit: 100_000) == [.binary([UInt8](repeating: 0, count: 100_000))])
        #expect(entries(bytes, limit: 99_999) == [.error(.inflatedMessageTooBig)])
    }

    @Test func `the compressed size is limited before inflation`() {
        #expect(entries(FrameBytes.head(0xC2, count: 1001), limit: 1000) == [.error(.messageTooBig)])
    }

    @Test func `messages of several connections may interleave on one loop`() {
        let loop = SharedDeflate()
        var first = Transcript(compression: Self.shared, shared: loop)
        var second = Transcript(compression: Self.shared, shared: loop)
        for _ in 0..<3 {
            for (index, byte) in Self.hello.enumerated() {
                let isLast = index == Self.hello.count - 1
                let head: UInt8 = (index == 0 ? 0x41 : 0x00) | (isLast ? 0x80 : 0x00)
                first.feed(FrameBytes.frame(head, [byte]))
                second.feed(FrameBytes.frame(index == 0 ? head + 1 : head, [byte]))
            }
        }
        #expect(first.entries == Array(repeating: .text("Hello"), count: 3))
        #expect(second.entries == Array(repeating: .binary(Array("Hello".utf8)), count: 3))
    }

    @Test func `two inflated messages of one loop can be in use at once`() throws {
        let loop = SharedDeflate()
        let limits = WebSocketLimits(maxMessageBytes: 1000, maxFragments: 8)
        var first = MessageReader(role: .server, limits: limits, compression: (Self.shared, loop))
        var second = MessageReader(role: .server, limits: limits, compression: (Self.shared, loop))
        var buffer = ByteBuffer(bytes: FrameBytes.frame(0xC1, Self.hello))
        var other = ByteBuffer(bytes: FrameBytes.frame(0xC1, [0x00, 0x01, 0x00, 0xFE, 0xFF, 0x78, 0x00]))
        guard case .text(let payload)? = try first.next(in: &buffer), case .text(let otherPayload)? = try second.next(in: &other) else {
            Issue.record("expected two messages")
            return
        }
        #expect(first.withPayload(of: payload, in: buffer) { $0.byteCount } == 5)
        #expect(first.withPayload(of: payload, in: buffer) { $0.unsafeLoad(fromByteOffset: 0, as: UInt8.self) } == 0x48)
        #expect(second.withPayload(of: otherPayload, in: other) { $0.unsafeLoad(fromByteOffset: 0, as: UInt8.self) } == 0x78)
    }

    @Test func `zlib state is counted for the loop if shared, otherwise for the connection`() {
        let loop = SharedDeflate()
        var shared = Transcript(compression: Self.shared, shared: loop)
        shared.feed(FrameBytes.frame(0xC1, Self.hello))
        #expect(shared.deflateStateBytes == 0)
        #expect((5_000...60_000).contains(loop.byteCount))
        var dedicated = Transcript(compression: Self.dedicated, shared: loop)
        #expect(dedicated.deflateStateBytes == 0, "zlib state before the first compressed message")
        dedicated.feed(FrameBytes.frame(0xC1, Self.hello))
        #expect((5_000...50_000).contains(dedicated.deflateStateBytes))
        #expect(dedicated.bufferedBytes == 0)
    }

    @Test(arguments: [Self.shared, Self.dedicated], [0, 100, 8_000])
    func `when zlib is out of memory, inflation fails with 1011`(agreement: CompressionAgreement, ceiling: Int) {
        var transcript = Transcript(compression: agreement, shared: SharedDeflate(memoryCeiling: ceiling))
        transcript.feed(FrameBytes.text("plain") + FrameBytes.frame(0xC1, Self.hello))
        #expect(transcript.entries == [.text("plain"), .error(.inflateOutOfMemory)])
        #expect(WebSocketError.inflateOutOfMemory.closeCode == .internal)
    }
}

@Suite struct DeflationTests {
    private static let sentence = "The quick brown fox jumps over the lazy dog; the lazy dog doesn't mind the quick brown fox. "

    private func text(_ count: Int) -> [UInt8] {
        Array(String(repeating: Self.sentence, count: count / 90 + 1).utf8.prefix(count))
    }

    private func agreement(shared: Bool, serverBits: Int? = nil, clientBits: Int? = nil) -> CompressionAgreement {
        CompressionAgreement(
            serverNoContextTakeover: shared, clientNoContextTakeover: shared, serverMaxWindowBits: serverBits,
            clientMaxWindowBits: clientBits)
    }

    /// Sends messages from one end to the other and returns the received messages and their sizes on the wire.
    private func exchange(
        _ messages: [[UInt8]], from sender: WebSocketRole, _ agreement: CompressionAgreement, reading: CompressionAgreement? = nil
    ) -> (entries: [Transcript.Entry], compressed: [Bool], sizes: [Int]) {
        var writer = MessageWriter(role: sender, compression: (agreement, SharedDeflate()))
        var transcript = Transcript(role: sender == .server ? .client : .server, compression: reading ?? agreement)
        var sizes: [Int] = []
        for message in messages {
            var output = ByteBuffer()
            writer.write(.binary, message.span.bytes, mayCompress: true, to: &output)
            sizes.append(output.readableBytes)
            transcript.feed(Array(output.readableBytesView))
        }
        return (transcript.entries, transcript.compressed, sizes)
    }

    @Test(arguments: [WebSocketRole.server, .client], [true, false])
    func `a message deflated by one end is inflated by the other`(sender: WebSocketRole, isShared: Bool) {
        let messages = [256, 300, 1000, 5000, 70_000, 300_000, 256].map { text($0) }
        let result = exchange(messages, from: sender, agreement(shared: isShared))
        #expect(result.entries == messages.map { .binary($0) })
        #expect(result.compressed.allSatisfy { $0 })
        #expect(zip(result.sizes, messages).allSatisfy { $0 < $1.count })
    }

    @Test func `context takeover makes a repeated message smaller`() {
        let message = [UInt8].noise(200, seed: 1).map { 0x61 + $0 % 26 } + text(200)
        let own = exchange([message, message], from: .server, agreement(shared: false)).sizes
        let shared = exchange([message, message], from: .server, agreement(shared: true)).sizes
        #expect(own[1] < own[0] / 4)
        #expect(shared[1] == shared[0])
    }

    @Test(arguments: [true, false])
    func `messages below the threshold are sent uncompressed`(isShared: Bool) {
        let threshold = isShared ? MessageWriter.compressionThreshold : MessageWriter.contextCompressionThreshold
        let result = exchange([text(threshold - 1), text(threshold)], from: .server, agreement(shared: isShared))
        #expect(result.compressed == [false, true])
        #expect(result.sizes[0] == threshold - 1 + (threshold > 126 ? 4 : 2))
    }

    @Test(arguments: [true, false], [256, 1000, 70_000])
    func `an incompressible message is sent uncompressed, and the next message can be inflated`(isShared: Bool, count: Int) {
        let noise = [UInt8].noise(count, seed: 9)
        let messages = [text(400), noise, text(400), noise, text(500)]
        let result = exchange(messages, from: .server, agreement(shared: isShared))
        #expect(result.entries == messages.map { .binary($0) })
        #expect(result.compressed == [true, false, true, false, true])
        #expect(result.sizes[1] == count + (count > 0xFFFF ? 10 : 4))
    }

    @Test(arguments: 9...15, [true, false])
    func `each negotiated window size is respected`(bits: Int, isShared: Bool) {
        // Distant repetitions over several messages, which a larger window would refer to.
        var generator = SplitMix64(state: UInt64(bits))
        let vocabulary = (0..<200).map { [UInt8].noise(40, seed: UInt64($0)).map { 0x61 + $0 % 26 } }
        let messages = (0..<30).map { _ in (0..<60).flatMap { _ in vocabulary.randomElement(using: &generator) ?? [] } }
        let agreed = agreement(shared: isShared, serverBits: bits)
        #expect(exchange(messages, from: .server, agreed).entries == messages.map { .binary($0) })
        let agreedClient = agreement(shared: isShared, clientBits: bits)
        #expect(exchange(messages, from: .client, agreedClient).entries == messages.map { .binary($0) })
    }

    @Test func `a window larger than negotiated is detected`() {
        let vocabulary = [UInt8].noise(4000, seed: 1).map { 0x61 + $0 % 26 }
        let result = exchange(
            [vocabulary, vocabulary], from: .client, agreement(shared: false), reading: agreement(shared: false, clientBits: 9))
        #expect(result.entries == [.binary(vocabulary), .error(.invalidDeflate)])
    }

    @Test func `a message that must not be compressed is sent uncompressed`() {
        var writer = MessageWriter(role: .server, compression: (agreement(shared: true), SharedDeflate()))
        var output = ByteBuffer()
        let message = text(1000)
        writer.write(.text, message.span.bytes, mayCompress: false, to: &output)
        #expect(Array(output.readableBytesView) == FrameBytes.frame(0x81, message, masked: false))
    }

    @Test(arguments: [true, false])
    func `when zlib is out of memory, messages are sent uncompressed`(isShared: Bool) {
        var writer = MessageWriter(role: .server, compression: (agreement(shared: isShared), SharedDeflate(memoryCeiling: 10_000)))
        var output = ByteBuffer()
        let message = text(1000)
        writer.write(.text, message.span.bytes, mayCompress: true, to: &output)
        #expect(Array(output.readableBytesView) == FrameBytes.frame(0x81, message, masked: false))
        #expect(writer.deflateStateBytes == 0)
    }

    @Test func `zlib state is counted for the loop if shared, otherwise for the connection`() {
        let loop = SharedDeflate()
        let message = text(1000)
        var output = ByteBuffer()
        var shared = MessageWriter(role: .server, compression: (agreement(shared: true), loop))
        shared.write(.text, message.span.bytes, mayCompress: true, to: &output)
        #expect(shared.deflateStateBytes == 0)
        #expect((100_000...160_000).contains(loop.byteCount))
        var own = MessageWriter(role: .server, compression: (agreement(shared: false), loop))
        #expect(own.deflateStateBytes == 0)
        own.write(.text, message.span.bytes, mayCompress: true, to: &output)
        #expect((100_000...160_000).contains(own.deflateStateBytes))
    }
}
