// SPDX-License-Identifier: Apache-2.0

/// The events of a ``ClientWebSocket``, up to and including ``ClientEvent/closed(_:)``.
package struct ClientEvents: AsyncSequence, AsyncIteratorProtocol, Sendable {
    package typealias Element = ClientEvent

    let client: ClientWebSocket
    private var hasEnded = false

    init(client: ClientWebSocket) {
        self.client = client
    }

    package func makeAsyncIterator() -> ClientEvents { self }

    /// Ends early if the task is cancelled.
    package mutating func next() async -> ClientEvent? {
        guard !hasEnded, let event = await client.next() else { return nil }
        if case .closed = event { hasEnded = true }
        return event
    }
}
