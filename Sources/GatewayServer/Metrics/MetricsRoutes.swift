// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The route of the metrics: `GET /metrics`.
struct MetricsRoutes: OperationsRouteGroup {
    let read: @Sendable () async -> GatewayReading

    var routes: [OperationsRoute] { [OperationsRoute("/metrics", [.get: .read])] }

    func add(to router: Router<OperationsRequestContext>) {
        router.get("/metrics") { [read] request, _ in
            let format = ExpositionFormat(accept: request.headers[.accept])
            return Response(
                status: .ok, headers: [.contentType: format.contentType, .vary: "Accept"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: await read().exposition(format))))
        }
    }
}

extension OperationsFeature {
    /// The exposition of the metrics.
    ///
    /// - Parameter read: reads the metrics now
    package static func metrics(_ read: @escaping @Sendable () async -> GatewayReading) -> OperationsFeature {
        OperationsFeature(MetricsRoutes(read: read))
    }
}
