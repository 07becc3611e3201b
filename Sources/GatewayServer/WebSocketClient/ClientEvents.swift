/// The events of a ``ClientWebSocket``, up to and including the end.
package struct ClientEvents: AsyncSequence, AsyncIteratorProtocol, Sendable {
    package typealias Element = ClientEvent

    let client: ClientWebSocket
    private var isOver = false

    init(client: ClientWebSocket) {
        self.client = client
    }

    package func makeAsyncIterator() -> ClientEvents { self }

    /// Ends early when the task is cancelled.
    package mutating func next() async -> ClientEvent? {
        guard !isOver, let event = await client.next() else { return nil }
        if case .closed = event { isOver = true }
        return event
    }
}
