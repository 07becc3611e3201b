import GatewayServer
import Synchronization

/// The way of the program's own events into the inbox of the current connection.
final class EventPort: Sendable {
    private let client: Mutex<ClientWebSocket>

    init(_ client: ClientWebSocket) { self.client = Mutex(client) }

    func insert(_ event: ClientEvent.Inserted) { client.withLock { $0.insert(event) } }

    /// Another connection takes over, and with it the events that nobody has taken.
    func move(to next: ClientWebSocket) {
        client.withLock { current in
            for event in current.takeInserted() { next.insert(event) }
            current = next
        }
    }
}
