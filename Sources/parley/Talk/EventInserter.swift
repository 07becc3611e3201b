// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import ParleyClient
import Synchronization

/// Inserts the program's own events into the inbox of the current connection.
final class EventInserter: Sendable {
    private let client: Mutex<ClientWebSocket>

    init(_ client: ClientWebSocket) { self.client = Mutex(client) }

    func insert(_ event: ClientEvent.Inserted) { client.withLock { $0.insert(event) } }

    /// Switches to another connection, and moves the program's pending events to its inbox.
    func move(to next: ClientWebSocket) {
        client.withLock { current in
            for event in current.removeInserted() { next.insert(event) }
            current = next
        }
    }
}
