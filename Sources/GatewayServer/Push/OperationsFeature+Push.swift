// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import Logging

extension OperationsFeature {
    /// Creates the routes of pushes.
    ///
    /// - Parameter rules: returns the current limits on texts and recordings
    package static func push(
        into targets: any PushTargets, rules: @escaping @Sendable () -> ValidationRules, logger: Logger
    ) -> OperationsFeature {
        OperationsFeature(PushRoutes(service: PushService(targets: targets), rules: rules, logger: logger))
    }

    /// Creates the routes of operators who supervise sessions.
    package static func supervision(
        of targets: any PushTargets, rules: @escaping @Sendable () -> ValidationRules, logger: Logger
    ) -> OperationsFeature {
        OperationsFeature(SupervisionRoutes(targets: targets, rules: rules, logger: logger))
    }
}
