// SPDX-License-Identifier: Apache-2.0

/// A latch that is opened once. Waiting ends when it opens, or when the waiting task is cancelled or shut down.
package struct Latch: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    package init() {
        (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    }

    package func open() { continuation.finish() }

    /// Waits until ``open()`` was called. May be called by one task.
    package func wait() async { for await _ in stream {} }
}
