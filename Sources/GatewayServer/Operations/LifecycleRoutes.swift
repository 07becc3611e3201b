// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The routes of the gateway's life cycle: drain, and the configuration in effect.
struct LifecycleRoutes: OperationsRouteGroup {
    /// Nil where there is nothing to drain, as in tests.
    let drain: (@Sendable () async -> DrainReport)?
    let configuration: (@Sendable () throws -> [UInt8])?

    var routes: [OperationsRoute] {
        var routes: [OperationsRoute] = []
        if drain != nil { routes.append(OperationsRoute("/v1/gateway/drain", [.post: .operate])) }
        if configuration != nil { routes.append(OperationsRoute("/v1/gateway/configuration", [.get: .read])) }
        return routes
    }

    func add(to router: Router<OperationsRequestContext>) {
        if let drain {
            router.post("/v1/gateway/drain") { request, _ in
                try await request.discardBody()
                var response = try Response.json(await drain())
                response.status = .accepted
                return response
            }
        }
        if let configuration {
            router.get("/v1/gateway/configuration") { _, _ in
                Response(
                    status: .ok, headers: [.contentType: "application/json"],
                    body: ResponseBody(byteBuffer: ByteBuffer(bytes: try configuration())))
            }
        }
    }
}
