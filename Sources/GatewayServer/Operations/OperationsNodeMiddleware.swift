// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// Sends requests to the node that has to execute them: requests about a session to the owner of the session, and other requests to the
/// node that the parameter `node` names.
///
/// Follows the gate: the node that received the request has checked the rights, and the one that executes it checks them again.
struct OperationsNodeMiddleware: RouterMiddleware {
    /// The paths whose `node` selects rows of a list over all nodes.
    private static let lists: Set<String> = ["/v1/sessions", "/v1/undelivered", "/v1/nodes"]
    /// How often a session is followed that moves between nodes meanwhile.
    private static let maximumAttempts = 5

    let requests: OperatorRequests
    let table: OperationsRouteTable
    /// Maximum size of a body.
    let bodyBytes: Int

    func handle(
        _ request: Request, context: OperationsRequestContext,
        next: @concurrent (Request, OperationsRequestContext) async throws -> Response
    ) async throws -> Response {
        guard let route = table.route(request.uri.path), let access = route.access(request.method), access != .open else {
            return try await next(request, context)
        }
        if route.isAboutSession, let id = Self.session(of: request) {
            return try await handle(request, context, about: id, next)
        }
        guard let name = request.uri.queryParameters["node"].map(String.init), !Self.lists.contains(route.path), name != requests.node
        else {
            return try await next(request, context)
        }
        guard let node = requests.cluster.directory.others.first(where: { $0.name == name }) else {
            throw OperationsProblem(status: .notFound, code: .notFound, detail: "there is no node of this name; GET /v1/nodes lists them")
        }
        let (_, message) = try await message(request, context)
        let response: Response?
        do throws(OperatorRequests.Fault) {
            response = try await requests.send(message, to: node, within: requests.cluster.operatorPatience)
        } catch {
            throw OperationsProblem(error, of: node)
        }
        guard let response else { throw OperationsProblem.unknownSession }
        return Self.marked(response, node)
    }

    private func handle(
        _ request: Request, _ context: OperationsRequestContext, about id: ULID,
        _ next: @concurrent (Request, OperationsRequestContext) async throws -> Response
    ) async throws -> Response {
        // The usual case, without reading the body here.
        guard requests.cluster.registry.loop(of: id) == nil else { return try await next(request, context) }
        let (request, message) = try await message(request, context)
        let deadline = ContinuousClock.now + requests.cluster.operatorPatience
        var attempts = 0
        while true {
            guard case .node(let node) = try await requests.cluster.place(of: id) else { return try await next(request, context) }
            attempts += 1
            do throws(OperatorRequests.Fault) {
                let rest = max(.seconds(1), deadline - ContinuousClock.now)
                if let response = try await requests.send(message, to: node, within: rest) { return Self.marked(response, node) }
            } catch {
                guard error.allowsRetry(of: request.method), ContinuousClock.now < deadline else {
                    throw OperationsProblem(error, of: node)
                }
                // The node may be dead: its lease decides.
                _ = try await requests.cluster.directory.refresh()
                attempts = 0
            }
            guard attempts < Self.maximumAttempts else { return try await next(request, context) }
            try await Task.sleep(for: SessionCluster.placePause)
        }
    }

    /// Returns the request with its whole body, and the message for another node.
    private func message(_ request: Request, _ context: OperationsRequestContext) async throws -> (Request, OperatorRequest) {
        var request = request
        let limit = min(bodyBytes, OperatorRequest.maximumBody)
        let body = try await request.collectBody(upTo: limit, "body too large for a request to another node; the limit is \(limit) bytes")
        request.body = RequestBody(buffer: body)
        let message = OperatorRequest(request, context, body: Array(body.readableBytesView))
        guard message.isValid else { throw OperationsProblem.invalid("the request is too large for a request to another node") }
        return (request, message)
    }

    private static func session(of request: Request) -> ULID? {
        request.uri.path.split(separator: "/").lazy.compactMap { ULID(String($0)) }.first
    }

    private static func marked(_ response: Response, _ node: NodeRecord) -> Response {
        var response = response
        response.headers[.parleyNode] = node.name
        return response
    }
}

extension OperatorRequest {
    /// The fields of a request that are sent with it.
    private static let sentFields: [HTTPField.Name] = [.accept, .contentType] + [HTTPField.Name("Idempotency-Key")].compactMap(\.self)

    init(_ request: Request, _ context: OperationsRequestContext, body: [UInt8]) {
        self.init(
            correlationID: context.correlationID, name: context.identity.name, rights: context.identity.rights.map(\.rawValue).sorted(),
            address: context.address, method: request.method.rawValue, target: request.head.path ?? "/",
            fields: Self.sentFields.flatMap { name in request.headers[values: name].map { Field(name.canonicalName, $0) } }, body: body)
    }
}

extension OperationsProblem {
    init(_ fault: OperatorRequests.Fault, of node: NodeRecord) {
        switch fault {
        case .unreachable(let reason):
            self.init(
                status: .serviceUnavailable, code: .overloaded,
                detail: "the node \(node.name) can't be reached at \(node.address): \(reason)", fields: [.retryAfter: "5"])
        case .busy:
            self.init(
                status: .serviceUnavailable, code: .overloaded, detail: "the node \(node.name) executes too many requests",
                fields: [.retryAfter: "1"])
        case .linkLost:
            self.init(.noResponse("the link broke"), of: node)
        case .noResponse(let reason):
            self.init(
                status: .gatewayTimeout, code: .overloaded,
                detail: "the node \(node.name) didn't respond (\(reason)); the request may have been executed")
        }
    }
}

extension HTTPField.Name {
    /// The name of the node that has executed a request, if it isn't the one that received it.
    static var parleyNode: HTTPField.Name { nodeName }

    private static let nodeName = HTTPField.Name("Parley-Node") ?? .server
}

extension OperationsRoute {
    /// Whether the path names a session.
    var isAboutSession: Bool { path.split(separator: "/").contains(":id") }
}
