// SPDX-License-Identifier: Apache-2.0

@testable import GatewayCore

/// The parsers of the link between nodes: frames, greetings, events and commands of upstream calls.
///
/// Invariants: A frame is within the maximum length, and the parser buffers no more than what was received and not more than one frame.
/// Frames don't depend on how the bytes are divided. An item and a greeting have one encoding. A command that was read can be read again.
final class NodesTarget: FuzzTarget {
    func run(_ input: FuzzInput) {
        var input = input
        switch input.byte() % 4 {
        case 0: Self.parseFrames(&input)
        case 1:
            guard let item = try? UpstreamItem(record: input.bytes) else { return }
            require(item.record == input.bytes, "an item has one encoding")
        case 2:
            guard let (command, audio) = try? UpstreamCommand.read(input.bytes) else { return }
            let record = command.record(audio: audio)
            let again = must { try UpstreamCommand.read(record) }
            require(again.command.record(audio: again.audio) == record, "a command can be read again")
        default:
            guard let hello = NodeHello(input.bytes) else { return }
            require(hello.payload == input.bytes, "a greeting has one encoding")
        }
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
