// SPDX-License-Identifier: Apache-2.0

import GatewayCore
package import GatewayTLS
import NIOCore
import Synchronization

/// The certificates of the operations listener (`operations.tls.certificates`). Without any, the listener uses plain HTTP.
///
/// A reload also switches between the two, for new connections.
package final class OperationsCertificates: Sendable {
    private let ticketKeys: TLSTicketKeys
    private let state: Mutex<TLSContext?>

    /// - Parameter now: seconds since 1970
    /// - Throws: all problems of all files
    package init(_ configuration: GatewayConfiguration, now: Int64) throws(TLSConfigurationError) {
        ticketKeys = TLSTicketKeys(rotation: .nanoseconds(configuration.tls.ticketRotation.clampedNanoseconds))
        state = Mutex(try Self.context(configuration, ticketKeys, now))
    }

    /// The context of a new connection; nil for plain HTTP.
    package var current: TLSContext? { state.withLock { $0 } }

    package var warnings: [TLSWarning] { current?.warnings ?? [] }

    /// Reads the files of a configuration. On an error the current context stays. Must not be called on an event loop.
    ///
    /// - Returns: the warnings about the new certificates
    package func reload(_ configuration: GatewayConfiguration, now: Int64) throws(TLSConfigurationError) -> [TLSWarning] {
        let context = try Self.context(configuration, ticketKeys, now)
        state.withLock { $0 = context }
        return context?.warnings ?? []
    }

    private static func context(
        _ configuration: GatewayConfiguration, _ ticketKeys: TLSTicketKeys, _ now: Int64
    ) throws(TLSConfigurationError) -> TLSContext? {
        let files = configuration.operations.certificates
        guard !files.isEmpty else { return nil }
        let settings = TLSSettings(
            certificates: files.map { .init(certificate: $0.certificate, key: $0.key) },
            minimumVersion: configuration.tls.minimumVersion == .tls13 ? .v1_3 : .v1_2)
        return try TLSContext(settings, ticketKeys: ticketKeys, now: now)
    }
}
