// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GatewayCore
import HTTPTypes
import HummingbirdCore
import NIOCore
import Synchronization

/// Requests that all other nodes execute, whose responses are small JSON documents.
extension OperatorRequests {
    /// Maximum size of such a response.
    private static let maximumReply = 16 << 20

    /// Sends a request to all other nodes.
    ///
    /// - Parameters:
    ///   - type: the type of the responses
    ///   - limit: how long a node has to respond
    /// - Returns: the responses, and the names of the nodes without one
    func broadcast<Reply: Decodable & Sendable>(
        _ request: OperatorRequest, as type: Reply.Type, within limit: Duration = .seconds(2)
    ) async -> (replies: [Reply], missing: [String]) {
        await withTaskGroup(of: (name: String, reply: Reply?).self) { group in
            for node in cluster.directory.others {
                group.addTask { [self] in
                    let response = try? await withDeadline(limit) { [self] in try await reply(to: request, from: node, within: limit) }
                    return (node.name, response.flatMap { try? JSONDecoder().decode(type, from: Data($0)) })
                }
            }
            var (replies, missing): ([Reply], [String]) = ([], [])
            for await (name, reply) in group { if let reply { replies.append(reply) } else { missing.append(name) } }
            return (replies, missing.sorted())
        }
    }

    private func reply(to request: OperatorRequest, from node: NodeRecord, within limit: Duration) async throws -> [UInt8] {
        guard let response = try await send(request, to: node, within: limit), (200..<300).contains(response.status.code) else {
            throw Fault.noResponse("the node rejected the request")
        }
        let collected = BodyCollector(limit: Self.maximumReply)
        try await response.body.write(collected)
        return collected.bytes
    }

    /// Keeps a body in memory.
    private final class BodyCollector: ResponseBodyWriter, Sendable {
        private let limit: Int
        private let collected = Mutex<[UInt8]>([])

        init(limit: Int) { self.limit = limit }

        var bytes: [UInt8] { collected.withLock { $0 } }

        func write(_ buffer: ByteBuffer) async throws {
            try collected.withLock { bytes in
                guard bytes.count + buffer.readableBytes <= limit else { throw NIOTooManyBytesError(maxBytes: limit) }
                bytes += buffer.readableBytesView
            }
        }

        func finish(_ trailingHeaders: HTTPFields?) async throws {}
    }
}
