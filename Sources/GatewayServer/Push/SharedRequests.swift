// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS

/// The idempotency keys of all nodes: a request is performed by one of them.
struct SharedRequests: Sendable {
    private let store: any SharedStore
    private let directory: NodeDirectory

    /// How long a node waits for the answer of another one.
    private static let patience = Duration.seconds(7)
    private static let pause = Duration.milliseconds(50)

    init(_ cluster: SessionCluster) {
        store = cluster.store
        directory = cluster.directory
    }

    /// Performs a request, or returns the answer of the node that has performed it.
    func answer(
        _ key: String, digest: SHA256Digest, perform: () async throws -> PushAnswer
    ) async throws -> PushAnswer {
        var hash = SHA256()
        hash.update(data: Array(key.utf8))
        let key = hash.finalize().bytes
        let digest = digest.bytes
        let deadline = ContinuousClock.now + Self.patience
        while true {
            switch try await store.beginRequest(key, digest: digest) {
            case .begun: return try await self.perform(key, digest, perform)
            case .answered(let record): return try PushAnswer(PushAnswerRecord(record: record))
            case .conflict: throw IdempotentRequests.Fault.conflict
            case .pending(let node):
                guard try await isAlive(node) else { throw IdempotentRequests.Fault.unknownOutcome }
                guard ContinuousClock.now < deadline else { throw IdempotentRequests.Fault.pending }
                try await Task.sleep(for: Self.pause)
            }
        }
    }

    private func perform(
        _ key: [UInt8], _ digest: [UInt8], _ perform: () async throws -> PushAnswer
    ) async throws -> PushAnswer {
        let answer: PushAnswer
        do {
            answer = try await perform()
        } catch {
            try? await store.endRequest(key, digest: digest, answer: nil)
            throw error
        }
        // If this fails, other nodes reject the key; this one has the answer.
        try? await store.endRequest(key, digest: digest, answer: answer.record.record)
        return answer
    }

    private func isAlive(_ node: ULID) async throws -> Bool {
        if directory.other(node) != nil { return true }
        return try await directory.refresh()[node] != nil
    }
}

extension SHA256Digest {
    fileprivate var bytes: [UInt8] {
        [words.0, words.1, words.2, words.3].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
    }
}

extension PushAnswer {
    fileprivate init(_ record: PushAnswerRecord) {
        self.init(
            id: record.id, deliveries: record.reply.deliveries.map { .init(session: $0.session, sequence: $0.sequence) },
            total: record.reply.deliveries.count + record.reply.unlisted, undelivered: record.reply.failures,
            missingNodes: record.missingNodes)
    }

    fileprivate var record: PushAnswerRecord {
        PushAnswerRecord(
            id: id,
            reply: ClusterPushReply(
                deliveries: deliveries.map { .init(session: $0.session, sequence: $0.sequence) }, unlisted: total - deliveries.count,
                failures: undelivered, missing: []),
            missingNodes: missingNodes)
    }
}
