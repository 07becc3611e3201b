// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import GatewayServer
import Logging

/// The parts of the gateway that deal with the service manager (systemd).
extension Assembly {
    /// Returns the checked sockets of the service manager, and warns where they differ from the configured addresses.
    ///
    /// - Throws: `InheritedSockets.Fault` for a socket that no listener can use
    static func inheritedSockets(
        _ environment: [String: String], _ configuration: GatewayConfiguration, logger: Logger
    ) throws(InheritedSockets.Fault) -> InheritedSockets {
        let sockets = try InheritedSockets(environment: environment)
        if configuration.listen.plain == nil { try sockets.reject(.plain, because: "listen.plain isn't set") }
        let configured = [
            ("listen.address", configuration.listen.address, sockets[.listen]),
            ("operations.address", configuration.operations.address, sockets[.operations]),
        ]
        for (key, address, socket) in configured {
            guard let socket, socket.address.port != address.port else { continue }
            logger.warning(
                "the service manager's socket differs from the configuration",
                metadata: ["key": "\(key)", "configured": "\(address)", "address": "\(socket.address)"])
        }
        return sockets
    }

    static func serviceNotifier(_ environment: [String: String], gateway: Gateway, shared: SharedGateway) -> ServiceNotifier {
        ServiceNotifier(
            socket: NotifySocket(environment: environment), watchdog: Watchdog(environment: environment, process: getpid()),
            status: {
                let report = shared.health.report
                let problems = report.parts.filter { $0.reason != nil }.map { "\($0.part.rawValue): \($0.reason ?? "")" }
                let connections = shared.connectionLimits.webSockets
                let text =
                    problems.isEmpty
                    ? "\(connections) connections"
                    : (report.isReady ? "Degraded: " : "Not ready: ") + problems.joined(separator: "; ") + "; \(connections) connections"
                return ServiceNotifications.Status(isReady: report.isReady, text: text)
            }, ticks: { gateway.lastTicks })
    }
}
