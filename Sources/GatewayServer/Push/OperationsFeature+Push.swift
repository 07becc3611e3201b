// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import Logging

extension OperationsFeature {
    /// Creates the routes of pushes.
    ///
    /// - Parameter requests: the requests to other nodes, which share idempotency keys and undelivered pushes; nil outside of a cluster
    /// - Parameter rules: returns the current limits on texts and recordings
    package static func push(
        into targets: any PushTargets, requests: OperatorRequests? = nil, rules: @escaping @Sendable () -> ValidationRules, logger: Logger
    ) -> OperationsFeature {
        let service = PushService(targets: targets, shared: requests.map { SharedRequests($0.cluster) })
        return OperationsFeature(PushRoutes(service: service, rules: rules, logger: logger, requests: requests))
    }

    /// Creates the routes of operators who supervise sessions.
    package static func supervision(
        of targets: any PushTargets, rules: @escaping @Sendable () -> ValidationRules, logger: Logger
    ) -> OperationsFeature {
        OperationsFeature(SupervisionRoutes(targets: targets, rules: rules, logger: logger))
    }
}
