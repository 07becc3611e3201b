// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GatewayCore

/// The response to a push.
struct PushAnswer: Sendable, Encodable {
    struct Delivery: Sendable, Encodable {
        let sessionID: String
        let seq: UInt64

        enum CodingKeys: String, CodingKey {
            case sessionID = "session_id"
            case seq
        }
    }

    /// The maximum number of sessions in ``sessions``.
    static let maximumListed = 10_000

    let id: ULID
    /// The sessions that the push was queued in, up to ``maximumListed``.
    let deliveries: [PushResult.Delivery]
    /// The number of sessions that the push was queued in.
    let total: Int
    let undelivered: Int

    init(_ id: ULID, _ result: PushResult) {
        self.id = id
        deliveries = Array(result.deliveries.sorted { $0.session < $1.session }.prefix(Self.maximumListed))
        total = result.deliveries.count
        undelivered = result.failures
    }

    /// The size of the value in memory; approximate.
    var byteCount: Int { 64 + deliveries.count * MemoryLayout<PushResult.Delivery>.stride }

    enum CodingKeys: String, CodingKey {
        case id, sessions, undelivered
        case total = "sessions_total"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode("\(id)", forKey: .id)
        try container.encode(deliveries.map { Delivery(sessionID: "\($0.session)", seq: $0.sequence) }, forKey: .sessions)
        if total > deliveries.count { try container.encode(total, forKey: .total) }
        try container.encode(undelivered, forKey: .undelivered)
    }
}
