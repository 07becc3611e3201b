// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Logging

/// Pushes and supervision.
extension Assembly {
    static func pushFeatures(_ gateway: Gateway, _ configuration: ConfigurationService) -> [OperationsFeature] {
        let rules: @Sendable () -> ValidationRules = { SessionPolicy(configuration.current).rules }
        let logger = Logger(label: "parley.operations")
        return [
            .push(into: gateway, rules: rules, logger: logger), .supervision(of: gateway, rules: rules, logger: logger),
        ]
    }
}
