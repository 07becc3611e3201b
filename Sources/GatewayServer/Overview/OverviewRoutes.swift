// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The routes of the gateway's figures: the stream of the overview, upstreams, certificates.
struct OverviewRoutes: OperationsRouteGroup {
    private struct Upstreams: Encodable {
        var upstreams: [UpstreamStatistics]
    }

    private struct Certificates: Encodable {
        var certificates: [CertificateView]
    }

    let overview: OverviewSampler
    let upstreams: @Sendable () -> [UpstreamStatistics]
    let certificates: @Sendable () -> [CertificateView]

    var routes: [OperationsRoute] {
        [
            OperationsRoute("/v1/events", [.get: .read]), OperationsRoute("/v1/upstreams", [.get: .read]),
            OperationsRoute("/v1/certificates", [.get: .read]),
        ]
    }

    func add(to router: Router<OperationsRequestContext>) {
        router.get("/v1/events") { [overview] _, _ in
            Response.eventStream { events in
                for await figures in overview.read() {
                    try await events.send(event: "overview", data: try SortedJSON.encode(figures))
                }
            }
        }
        router.get("/v1/upstreams") { [upstreams] _, _ in try Response.json(Upstreams(upstreams: upstreams())) }
        router.get("/v1/certificates") { [certificates] _, _ in try Response.json(Certificates(certificates: certificates())) }
    }
}

extension OperationsFeature {
    /// The figures of the gateway.
    ///
    /// - Parameters:
    ///   - upstreams: returns the statistics of each upstream
    ///   - certificates: returns the certificates of all listeners
    package static func overview(
        _ sampler: OverviewSampler, upstreams: @escaping @Sendable () -> [UpstreamStatistics],
        certificates: @escaping @Sendable () -> [CertificateView]
    ) -> OperationsFeature {
        OperationsFeature(OverviewRoutes(overview: sampler, upstreams: upstreams, certificates: certificates))
    }
}
