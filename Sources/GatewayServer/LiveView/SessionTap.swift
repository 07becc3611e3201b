// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// An operator's view of the messages of a session as they are received and sent: `GET /v1/sessions/{id}/tap`.
///
/// The event loop of the session adds frames, and the response to the operator removes them. The buffer is bounded: while it is full,
/// frames are dropped and counted, so that a slow operator never delays the session. A session without taps only checks that it has none.
package final class SessionTap: Sendable {
    /// A WebSocket message, complete if it was fragmented.
    package struct Frame: Sendable, Hashable {
        package enum Direction: String, Sendable, Encodable { case `in`, out }

        /// Unix milliseconds.
        package var at: Int64
        package var direction: Direction
        /// The value of `type`; `binary` for audio, and `invalid` for a message of the client that can't be parsed.
        package var type: String
        /// Bytes of the payload, inflated.
        package var size: Int
        /// The sequence number of a sequenced message.
        package var sequence: UInt64?
        /// The JSON text, at most ``SessionTap/maximumContentBytes``; nil for binary messages, for messages with a token, and for an
        /// operator who may not see it.
        package var content: String?
        package var isTruncated = false

        package init(at: Int64, direction: Direction, type: String, size: Int, sequence: UInt64? = nil, content: String? = nil) {
            self.at = at
            self.direction = direction
            self.type = type
            self.size = size
            self.sequence = sequence
            self.content = content
        }
    }

    /// The frames since the last batch, and how many were dropped after them.
    package struct Batch: Sendable, Hashable {
        package var frames: [Frame] = []
        package var dropped = 0

        package init(frames: [Frame] = [], dropped: Int = 0) {
            self.frames = frames
            self.dropped = dropped
        }
    }

    private struct State {
        var batch = Batch()
        var bytes = 0
        var isEnded = false
        var waiter: CheckedContinuation<Void, Never>?
        /// Whether ``SessionTap/next()`` must return even without frames.
        var isDue = false
    }

    package static let maximumFrames = 512
    package static let maximumBytes = 262_144
    package static let maximumContentBytes = 4096
    /// The size of a frame in the buffer in addition to its content.
    package static let frameBytes = 96
    /// The maximum number of taps of a session.
    package static let maximumTaps = 4

    /// Whether the frames have contents.
    package let includesContent: Bool
    private let state = Mutex(State())

    package init(includesContent: Bool) { self.includesContent = includesContent }

    package var isEnded: Bool { state.withLock(\.isEnded) }

    /// Adds a frame, or counts it as dropped; has no effect after the end. Called on an event loop; never waits.
    package func add(_ frame: Frame) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.isEnded else { return nil }
            let bytes = Self.frameBytes + (frame.content?.utf8.count ?? 0)
            // Frames after a dropped one are dropped, too, until the batch is taken: `dropped` tells where the gap is.
            guard state.batch.dropped == 0, state.batch.frames.count < Self.maximumFrames, state.bytes + bytes <= Self.maximumBytes else {
                state.batch.dropped += 1
                return state.waiter.take()
            }
            state.batch.frames.append(frame)
            state.bytes += bytes
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Makes ``next()`` return soon, even without frames.
    package func wake() {
        let waiter = state.withLock { state in
            state.isDue = true
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Ends the tap: ``next()`` returns what is left, and then nil.
    package func end() {
        let waiter = state.withLock { state in
            state.isEnded = true
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Waits for frames, and returns them; nil after the end. Must not be called by several tasks at once.
    package func next() async -> Batch? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    guard state.batch == Batch(), !state.isEnded, !state.isDue else { return true }
                    state.waiter = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            end()
        }
        return state.withLock { state in
            if state.isEnded, state.batch == Batch() { return nil }
            defer {
                state.batch = Batch()
                state.bytes = 0
                state.isDue = false
            }
            return state.batch
        }
    }
}

/// Ends a tap when the last reference to the response that reads it is released, also if the response was never sent.
final class SessionTapLease: Sendable {
    let tap: SessionTap

    init(_ tap: SessionTap) { self.tap = tap }

    deinit { tap.end() }
}

extension SessionTap.Frame: Encodable {
    private enum CodingKeys: String, CodingKey {
        case at, direction, type, size
        case sequence = "seq"
        case content
        case isTruncated = "truncated"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(at, forKey: .at)
        try container.encode(direction, forKey: .direction)
        try container.encode(type, forKey: .type)
        try container.encode(size, forKey: .size)
        try container.encodeIfPresent(sequence, forKey: .sequence)
        try container.encodeIfPresent(content, forKey: .content)
        if isTruncated { try container.encode(true, forKey: .isTruncated) }
    }
}
