// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore

/// The identity of a request that another node has sent, with the rights that its route requires on this node.
struct ForwardedGateMiddleware: RouterMiddleware {
    let table: OperationsRouteTable

    func handle(
        _ request: Request, context: OperationsRequestContext,
        next: @concurrent (Request, OperationsRequestContext) async throws -> Response
    ) async throws -> Response {
        switch table.route(request.uri.path)?.access(request.method) {
        case .right(let right): try context.require(right)
        case .open, nil: break
        }
        return try await next(request, context)
    }
}

extension OperationsRoutes {
    /// Returns the function that executes requests of other nodes.
    func forwardedResponder(logger: Logger) -> OperatorRequests.Responder {
        let responder = forwardedRouter.buildResponder()
        return { forwarded in
            guard let method = HTTPRequest.Method(forwarded.method) else { return Response(status: .badRequest) }
            let head = HTTPRequest(
                method: method, scheme: nil, authority: nil, path: forwarded.target, headerFields: forwarded.fields.httpFields)
            let request = Request(head: head, body: RequestBody(buffer: ByteBuffer(bytes: forwarded.body)))
            do {
                return try await responder.respond(to: request, context: OperationsRequestContext(forwarded, logger: logger))
            } catch {
                // The outermost middleware converts every error.
                return Response(status: .internalServerError)
            }
        }
    }
}

extension OperationsRequestContext {
    private struct ForwardedSource: RequestContextSource {
        let logger: Logger
    }

    /// Creates the context of a request that another node has sent.
    init(_ request: OperatorRequest, logger: Logger) {
        self.init(
            coreContext: CoreRequestContextStorage(source: ForwardedSource(logger: logger)), correlationID: request.correlationID,
            identity: OperationsIdentity(name: request.name, rights: Set(request.rights.compactMap(OperationsRight.init))),
            address: request.address)
    }
}
