// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GatewayCore

/// The response to a push.
struct PushAnswer: Sendable, Codable {
    struct Delivery: Sendable, Codable {
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
    /// The names of the nodes that didn't respond: whether their sessions got the push is unknown.
    let missingNodes: [String]

    init(id: ULID, deliveries: [PushResult.Delivery], total: Int, undelivered: Int, missingNodes: [String]) {
        self.id = id
        self.deliveries = deliveries
        self.total = total
        self.undelivered = undelivered
        self.missingNodes = missingNodes
    }

    init(_ id: ULID, _ result: PushResult) {
        self.id = id
        deliveries = Array(result.deliveries.sorted { $0.session < $1.session }.prefix(Self.maximumListed))
        total = result.deliveries.count + result.unlisted
        undelivered = result.failures
        missingNodes = result.missingNodes.sorted()
    }

    /// The size of the value in memory; approximate.
    var byteCount: Int { 64 + deliveries.count * MemoryLayout<PushResult.Delivery>.stride }

    enum CodingKeys: String, CodingKey {
        case id, sessions, undelivered
        case total = "sessions_total"
        case missingNodes = "missing_nodes"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        guard let id = ULID(try container.decode(String.self, forKey: .id)) else {
            throw DecodingError.dataCorruptedError(forKey: .id, in: container, debugDescription: "not an id")
        }
        deliveries = try container.decode([Delivery].self, forKey: .sessions).compactMap { delivery in
            ULID(delivery.sessionID).map { .init(session: $0, sequence: delivery.seq) }
        }
        self.id = id
        total = try container.decodeIfPresent(Int.self, forKey: .total) ?? deliveries.count
        undelivered = try container.decode(Int.self, forKey: .undelivered)
        missingNodes = try container.decodeIfPresent([String].self, forKey: .missingNodes) ?? []
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode("\(id)", forKey: .id)
        try container.encode(deliveries.map { Delivery(sessionID: "\($0.session)", seq: $0.sequence) }, forKey: .sessions)
        if total > deliveries.count { try container.encode(total, forKey: .total) }
        try container.encode(undelivered, forKey: .undelivered)
        if !missingNodes.isEmpty { try container.encode(missingNodes, forKey: .missingNodes) }
    }
}
