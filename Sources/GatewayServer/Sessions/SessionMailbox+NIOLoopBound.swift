// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import NIOCore

/// The mailbox of an event loop's sessions: submits each request to the loop as a task.
extension NIOLoopBound: SessionMailbox where Value == LocalSessionTable {
    package func transfer(_ request: TransferRequest, reply: @escaping @Sendable (TransferReply) -> Void) {
        eventLoop.execute { value.transfer(request, reply: reply) }
    }

    package func displace(_ id: ULID) {
        eventLoop.execute { value.displaced(id) }
    }

    package func depart(_ request: HandOverRequest, reply: @escaping @Sendable (Departure) -> Void) {
        eventLoop.execute { value.depart(request, reply: reply) }
    }

    package func finishDeparture(of id: ULID, _ outcome: DepartureOutcome) {
        eventLoop.execute { value.finishDeparture(of: id, outcome) }
    }

    package func arrive(
        _ stored: StoredSession, handover: [UInt8]?, stream: NodeStream?, completion: @escaping @Sendable (Bool) -> Void
    ) {
        eventLoop.execute { completion(value.arrive(stored, handover: handover, stream: stream)) }
    }

    package func lose(_ id: ULID, _ loss: SessionLoss) {
        eventLoop.execute { value.lose(id, loss) }
    }

    package func reportMemoryUsage() {
        eventLoop.execute { value.reportMemoryUsage() }
    }

    package func perform(_ steps: [MemoryReclaim.Step]) {
        eventLoop.execute { value.perform(steps) }
    }
}
