// SPDX-License-Identifier: Apache-2.0

@testable import GatewayCore

/// The parsers of the link between nodes: frames, greetings, events and commands of upstream calls, hand-overs, users, and requests of
/// operators.
///
/// Invariants: A frame is within the maximum length, and the parser buffers no more than what was received and not more than one frame.
/// Frames don't depend on how the bytes are divided. An item, a greeting and a message have one encoding. A command or a push that was read can
/// be read again.
final class NodesTarget: FuzzTarget {
    func run(_ input: FuzzInput) {
        var input = input
        switch input.byte() % 13 {
        case 0: Self.parseFrames(&input)
        case 1:
            guard let item = try? UpstreamItem(record: input.bytes) else { return }
            require(item.record == input.bytes, "an item has one encoding")
        case 2:
            guard let (command, audio) = try? UpstreamCommand.read(input.bytes) else { return }
            let record = command.record(audio: audio)
            let again = must { try UpstreamCommand.read(record) }
            require(again.command.record(audio: again.audio) == record, "a command can be read again")
        case 3:
            guard let hello = NodeHello(input.bytes) else { return }
            require(hello.payload == input.bytes, "a greeting has one encoding")
        case 4: Self.read(input.bytes) { bytes throws(RecordError) in try OperatorRequest(record: bytes).record }
        case 5: Self.read(input.bytes) { bytes throws(RecordError) in try OperatorReply(record: bytes).record }
        case 6:
            guard let push = try? ClusterPush(record: input.bytes) else { return }
            let again = must { try ClusterPush(record: push.record) }
            require(again.record == push.record, "a push can be read again")
        case 7: Self.read(input.bytes) { bytes throws(RecordError) in try PushAnswerRecord(record: bytes).record }
        case 8: Self.read(input.bytes) { bytes throws(RecordError) in try SessionListRequest(record: bytes).record }
        case 9: Self.read(input.bytes) { bytes throws(RecordError) in try SessionListReply(record: bytes).record }
        case 10: Self.read(input.bytes) { bytes throws(RecordError) in try HandOverRequest(record: bytes).record }
        case 11: Self.read(input.bytes) { bytes throws(RecordError) in try HandOverReply(record: bytes).record }
        default: Self.read(input.bytes) { bytes throws(RecordError) in try UserNotice(record: bytes).record }
        }
    }

    /// Reads a message, and compares it with its encoding.
    private static func read(_ bytes: [UInt8], _ encode: ([UInt8]) throws(RecordError) -> [UInt8]) {
        guard let record = try? encode(bytes) else { return }
        require(record == bytes, "a message has one encoding")
    }

    private static func parseFrames(_ input: inout FuzzInput) {
        let limit = input.choose([NodeFrame.maximumLengthBeforeProof, NodeFrame.maximumLength])
        let split = input.split()
        let whole = frames([input.bytes], limit: limit)
        let divided = frames(split.pieces(of: input.bytes), limit: limit)
        require(whole.frames == divided.frames && whole.fault == divided.fault, "frames don't depend on the division")
        require(whole.frames.allSatisfy { $0.bytes.count <= 4 + limit }, "a frame is within the limit")
    }

    private static func frames(_ pieces: [[UInt8]], limit: Int) -> (frames: [NodeFrame], fault: NodeFrameFault?) {
        var parser = NodeFrameParser(maximumLength: limit)
        var frames: [NodeFrame] = []
        var received = 0
        for piece in pieces {
            received += piece.count
            var offset = 0
            do throws(NodeFrameFault) {
                while let frame = try parser.next(piece, from: &offset) { frames.append(frame) }
            } catch {
                return (frames, error)
            }
            require(offset == piece.count, "every byte is consumed")
            require(parser.bufferedBytes <= min(received, limit + 4), "no more is buffered than a frame")
        }
        return (frames, nil)
    }
}
