// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Logging

/// Pushes and supervision.
extension Assembly {
    static func pushFeatures(
        _ gateway: Gateway, requests: OperatorRequests?, cluster: SessionCluster?, _ configuration: ConfigurationService
    ) -> [OperationsFeature] {
        let rules: @Sendable () -> ValidationRules = { SessionPolicy(configuration.current).rules }
        let logger = Logger(label: "parley.operations")
        let targets: any PushTargets = cluster.map { ClusterPushTargets(local: gateway, cluster: $0) } ?? gateway
        return [
            .push(into: targets, requests: requests, rules: rules, logger: logger), .supervision(of: gateway, rules: rules, logger: logger),
        ]
    }
}
