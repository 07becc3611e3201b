// SPDX-License-Identifier: Apache-2.0

/// The reason why the bytes of a link aren't frames.
package enum NodeFrameFault: String, Error, Sendable, Hashable, CaseIterable {
    case tooLong = "frame exceeds the maximum length"
    case tooShort = "frame is shorter than its head"
    case unknownKind = "unknown frame type"
}

/// Parses the bytes of a link into frames.
///
/// The length of a frame is checked as soon as its 4 bytes are there, before anything of the frame is buffered. Memory grows with the
/// received bytes, not with the announced length.
package struct NodeFrameParser: Sendable {
    /// Maximum value of the length.
    package var maximumLength: Int
    private var head: [UInt8] = []
    private var payload: [UInt8] = []
    /// The head of the frame whose payload is incomplete, with the size of the payload.
    private var current: (kind: NodeFrame.Kind, stream: UInt64, size: Int)?
    private var fault: NodeFrameFault?

    package init(maximumLength: Int = NodeFrame.maximumLength) { self.maximumLength = maximumLength }

    /// Bytes that are buffered.
    package var bufferedBytes: Int { head.count + payload.count }

    /// Parses bytes from an offset on, which moves behind the returned frame or to the end.
    ///
    /// - Returns: the next frame; nil if more bytes are needed
    package mutating func next(_ bytes: [UInt8], from offset: inout Int) throws(NodeFrameFault) -> NodeFrame? {
        if let fault { throw fault }
        do throws(NodeFrameFault) {
            return try parse(bytes, from: &offset)
        } catch {
            fault = error
            throw error
        }
    }

    private mutating func parse(_ bytes: [UInt8], from offset: inout Int) throws(NodeFrameFault) -> NodeFrame? {
        if current == nil {
            take(4, of: bytes, from: &offset)
            guard head.count >= 4 else { return nil }
            let length = head.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
            guard length <= maximumLength else { throw .tooLong }
            guard length >= NodeFrame.headSize else { throw .tooShort }
            take(4 + NodeFrame.headSize, of: bytes, from: &offset)
            if head.count > 4, NodeFrame.Kind(rawValue: head[4]) == nil { throw .unknownKind }
            guard head.count == 4 + NodeFrame.headSize, let kind = NodeFrame.Kind(rawValue: head[4]) else { return nil }
            current = (kind, head[5...].reversed().reduce(0) { $0 << 8 | UInt64($1) }, length - NodeFrame.headSize)
            head.removeAll(keepingCapacity: true)
        }
        guard let current else { return nil }
        let count = min(current.size - payload.count, bytes.count - offset)
        if count > 0 {
            payload += bytes[offset..<offset + count]
            offset += count
        }
        guard payload.count == current.size else { return nil }
        defer { (self.current, payload) = (nil, []) }
        return NodeFrame(current.kind, stream: current.stream, payload: payload)
    }

    /// Completes the head up to `size` bytes, as far as there are bytes.
    private mutating func take(_ size: Int, of bytes: [UInt8], from offset: inout Int) {
        let count = min(size - head.count, bytes.count - offset)
        guard count > 0 else { return }
        head += bytes[offset..<offset + count]
        offset += count
    }
}
