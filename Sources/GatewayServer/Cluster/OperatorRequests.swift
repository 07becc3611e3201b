// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import HummingbirdCore
import Logging
package import NIOCore
import Synchronization

/// The requests of operators that this node sends to others, and those of others that it executes.
///
/// Each request is a stream: its label is the ``OperatorRequest``, the first message back the ``OperatorReply``, the further ones the body.
/// A request that another node has sent is never sent on.
package final class OperatorRequests: Sendable {
    /// Executes a request on this node.
    typealias Responder = @Sendable (OperatorRequest) async -> Response

    /// The reason why a request got no response.
    enum Fault: Error {
        /// The request wasn't executed.
        case unreachable(String)
        /// The node executes too many requests.
        case busy
        /// The request may have been executed.
        case noResponse(String)
        /// The link to the node broke. The request may have been executed.
        case linkLost

        /// Whether a request may be sent again, to the node or its successor: it wasn't executed, or only reads.
        func allowsRetry(of method: HTTPRequest.Method) -> Bool {
            switch self {
            case .unreachable: true
            case .linkLost: method == .get || method == .head
            case .busy, .noResponse: false
            }
        }
    }

    let cluster: SessionCluster
    private let group: any EventLoopGroup
    private let responder = Mutex<Responder?>(nil)
    private let executing = Atomic<Int>(0)
    /// Maximum number of requests of other nodes that are executed at a time, including streams of events.
    private static let maximumExecuting = 256

    package init(cluster: SessionCluster, group: any EventLoopGroup) {
        self.cluster = cluster
        self.group = group
        cluster.handleOperatorStreams { [weak self] stream, label in
            guard let self else { return stream.close(.refused) }
            accept(stream, label)
        }
    }

    /// The name of this node.
    var node: String { cluster.directory.record.name }

    /// Sets the responder of requests that other nodes send. Until then they are rejected.
    func respond(_ responder: @escaping Responder) { self.responder.withLock { $0 = responder } }

    // MARK: Sending

    /// Sends a request to a node.
    ///
    /// - Parameter limit: how long the node has for the head of the response
    /// - Returns: the response, whose body is received while it is written; nil if the session of the request isn't on the node any more
    func send(_ request: OperatorRequest, to node: NodeRecord, within limit: Duration) async throws(Fault) -> Response? {
        guard let address = SocketEndpoint(node.address) else { throw .unreachable("invalid address") }
        cluster.counters.requests.add(1, ordering: .relaxed)
        do {
            let (head, lease) = try await withDeadline(limit) { [self] in try await open(request, to: node, at: address) }
            guard case .response(let status, let fields) = head else { return nil }
            return Self.response(status, fields, isHead: request.method == "HEAD", lease)
        } catch {
            cluster.counters.failures.add(1, ordering: .relaxed)
            // The node may execute the request even if the connection was slow.
            throw error as? Fault ?? .noResponse("no response in time")
        }
    }

    private func open(
        _ request: OperatorRequest, to node: NodeRecord, at address: SocketEndpoint
    ) async throws -> (OperatorReply, StreamLease) {
        let stream: NodeStream
        do {
            stream = try await cluster.links.openStream(to: node.id, at: address, label: request.record).get()
        } catch {
            throw Fault.unreachable("\(error)")
        }
        let lease = StreamLease(StreamPort(stream, on: group.any()))
        if let record = await lease.port.next(), let reply = try? OperatorReply(record: record) { return (reply, lease) }
        switch lease.port.ending {
        case .refused: throw Fault.busy
        case .linkLost: throw Fault.linkLost
        default: throw Fault.noResponse("the node closed the stream")
        }
    }

    private static func response(_ status: UInt16, _ fields: [OperatorRequest.Field], isHead: Bool, _ lease: StreamLease) -> Response {
        let status = HTTPResponse.Status(code: Int(status))
        let headers = fields.httpFields
        guard status != .noContent, !isHead else { return Response(status: status, headers: headers) }
        return Response(
            status: status, headers: headers,
            body: ResponseBody { writer in
                while let chunk = await lease.port.next() { try await writer.write(ByteBuffer(bytes: chunk)) }
                guard lease.port.ending == .done else { throw Fault.linkLost }
                try await writer.finish(nil)
            })
    }

    // MARK: Executing

    private func accept(_ stream: NodeStream, _ label: [UInt8]) {
        guard let responder = responder.withLock({ $0 }) else { return stream.close(.refused) }
        guard executing.add(1, ordering: .relaxed).newValue <= Self.maximumExecuting else {
            executing.subtract(1, ordering: .relaxed)
            return stream.close(.refused)
        }
        let port = StreamPort(stream, on: group.any())
        // Ends with the response; a write to a stream that was closed throws.
        Task {
            await execute(label, port, responder)
            executing.subtract(1, ordering: .relaxed)
        }
    }

    private func execute(_ label: [UInt8], _ port: StreamPort, _ responder: Responder) async {
        do {
            let request = try OperatorRequest(record: label)
            if let id = request.session, cluster.registry.loop(of: id) == nil {
                try await port.send(OperatorReply.elsewhere.record)
            } else {
                let response = await responder(request)
                let reply = OperatorReply.response(status: UInt16(clamping: response.status.code), fields: response.headers.operatorFields)
                try await port.send(reply.record)
                if request.method != "HEAD" { try await response.body.write(BodyWriter(port: port)) }
            }
            port.close(.done)
        } catch {
            port.close(.fault)
        }
    }

    /// Sends a body in messages.
    private struct BodyWriter: ResponseBodyWriter {
        /// Maximum size of a message.
        static let chunk = 65_536

        let port: StreamPort

        mutating func write(_ buffer: ByteBuffer) async throws {
            var rest = buffer
            while rest.readableBytes > 0 {
                guard let part = rest.readBytes(length: min(rest.readableBytes, Self.chunk)) else { return }
                try await port.send(part)
            }
        }

        consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
    }
}

extension OperatorRequest {
    /// The session that the request is about; nil for other requests.
    var session: ULID? {
        let parts = target.prefix { $0 != "?" }.split(separator: "/")
        guard parts.count > 2, parts[0] == "v1", parts[1] == "sessions" else { return nil }
        return ULID(String(parts[2]))
    }
}

extension [OperatorRequest.Field] {
    var httpFields: HTTPFields {
        var fields = HTTPFields()
        for field in self {
            if let name = HTTPField.Name(field.name) { fields.append(HTTPField(name: name, value: field.value)) }
        }
        return fields
    }
}

extension HTTPFields {
    var operatorFields: [OperatorRequest.Field] { map { OperatorRequest.Field($0.name.rawName, $0.value) } }
}
