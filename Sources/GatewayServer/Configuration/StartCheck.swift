import Foundation
import GatewayCore
package import GatewayTLS
import Logging
package import NIOCore

/// Looks for what keeps a gateway from starting although its configuration is right: certificates, keys, authorities, programs, the store's
/// file, addresses. Changes nothing, and finds all of it also beside a running gateway.
///
/// Certificates and upstreams are made as a start makes them, by the same code.
package struct StartCheck {
    /// Everything that a start, or the first request, would fail of.
    package private(set) var problems: [ConfigurationProblem] = []
    /// Everything that a start would warn of.
    package private(set) var warnings: [String] = []
    private let loaded: LoadedConfiguration

    /// - Parameters:
    ///   - stateFolder: where the development certificate is kept
    ///   - now: seconds since 1970, for the dates of certificates
    package init(_ loaded: LoadedConfiguration, stateFolder: String, group: any EventLoopGroup, now: Int64) {
        self.loaded = loaded
        checkCertificates(stateFolder: stateFolder, now: now)
        checkUpstreams(group: group)
        checkStore()
        checkAddress("listen.address", loaded.configuration.listen.address)
        checkAddress("operations.address", loaded.configuration.operations.address)
    }

    private mutating func checkCertificates(stateFolder: String, now: Int64) {
        let configuration = loaded.configuration
        if configuration.tls.certificates.isEmpty {
            // Development makes its own, where it can.
            if let reason = FolderAccess.obstacle(toWritingIn: stateFolder) {
                refuse(
                    "tls.certificates", stateFolder, allowed: "a folder that can be written, for the development certificate", hint: reason)
            }
            guard configuration.tls.clientAuth != .none else { return }
        }
        do throws(TLSConfigurationError) {
            let keys = TLSTicketKeys(rotation: .nanoseconds(configuration.tls.ticketRotation.clampedNanoseconds))
            warnings += try TLSContext(TLSSettings(configuration), ticketKeys: keys, now: now).warnings.map { "\($0)" }
        } catch {
            for problem in error.problems {
                // There is none in development.
                if problem.reason == .noCertificates { continue }
                let isAuthority = problem.path != nil && problem.path == configuration.tls.clientCA
                refuse(isAuthority ? "tls.client_ca" : "tls.certificates", problem)
            }
        }
    }

    private mutating func checkUpstreams(group: any EventLoopGroup) {
        for (name, upstream) in loaded.configuration.upstreams.sorted(by: { $0.key < $1.key }) {
            func key(_ field: String) -> String { "upstreams.\(name).\(field)" }
            do {
                _ = try Upstream(
                    name: name, upstream, group: group, logger: Logger(label: "parley.check") { _ in SwiftLogNoOpLogHandler() },
                    clock: UpstreamPool.monotonic)
            } catch let error as TLSConfigurationError {
                for problem in error.problems {
                    let isAuthority = problem.path != nil && problem.path == upstream.authority
                    refuse(key(isAuthority ? "ca" : "client_certificate"), problem)
                }
            } catch {
                refuse(key("kind"), upstream.kind.rawValue, allowed: "an upstream that can be set up", hint: "\(error)")
            }
            if upstream.kind == .process, let program = upstream.command.first, !ProcessService.canRun(program) {
                refuse(
                    key("command"), program, allowed: "a program that is there and can be executed",
                    hint: program.contains("/") ? nil : "PATH was searched for it")
            }
        }
    }

    private mutating func checkStore() {
        guard loaded.configuration.store.kind == .sqlite else { return }
        do throws(StoreError) {
            try SQLiteStore.examine(loaded.configuration.store.path)
        } catch {
            refuse("store.path", error.path, allowed: "a file that the gateway can make, or has made, and write", hint: error.problem)
        }
    }

    private mutating func checkAddress(_ key: String, _ address: SocketEndpoint) {
        guard let reason = AddressCheck.obstacle(toListeningOn: address) else { return }
        refuse(key, "\(address)", allowed: "an address of this machine, and a port that this user may listen on", hint: reason)
    }

    private mutating func refuse(_ key: String, _ problem: TLSConfigurationError.Problem) {
        refuse(key, problem.path, allowed: "files that can be read and used", hint: problem.reason.text)
    }

    private mutating func refuse(_ key: String, _ value: String?, allowed: String, hint: String?) {
        let source = loaded.origins.first { $0.key == key }?.source ?? "default"
        problems.append(ConfigurationProblem(key: key, value: value, source: source, allowed: allowed, hint: hint))
    }
}

extension TLSSettings {
    /// Those of a configuration, without the certificate that development makes for itself.
    package init(_ configuration: GatewayConfiguration) {
        self.init(
            certificates: configuration.tls.certificates.map { Certificate(certificate: $0.certificate, key: $0.key) },
            minimumVersion: configuration.tls.minimumVersion == .tls13 ? .v1_3 : .v1_2, clientAuthority: configuration.tls.clientCA,
            clientAuthentication: .init(rawValue: configuration.tls.clientAuth.rawValue) ?? .required)
    }
}
