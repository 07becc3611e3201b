// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
package import GatewayTLS
import Logging
package import NIOCore

/// Checks everything outside the configuration that can prevent a startup: certificates, keys, CAs, programs, the store's file, addresses; and
/// the permissions of files with secrets.
/// Changes nothing and works while a gateway is running.
///
/// Certificates and upstreams are created by the same code as at startup.
package struct StartupCheck {
    /// Every problem that would make the startup or the first request fail.
    package private(set) var problems: [ConfigurationProblem] = []
    /// Every warning that the startup would log, and files with secrets that every user can read.
    package private(set) var warnings: [String] = []
    let loaded: LoadedConfiguration

    /// - Parameters:
    ///   - stateDirectory: the directory of the development certificate
    ///   - now: seconds since 1970, to check the validity of certificates
    package init(_ loaded: LoadedConfiguration, stateDirectory: String, group: any EventLoopGroup, now: Int64) {
        self.loaded = loaded
        checkCertificates(stateDirectory: stateDirectory, now: now)
        checkOperationsCertificates(now: now)
        checkTokenKeys()
        checkUpstreams(group: group)
        checkStore()
        checkSecretFiles()
        checkAddress("listen.address", loaded.configuration.listen.address)
        if let plain = loaded.configuration.listen.plain { checkAddress("listen.plain", plain) }
        checkCluster(now: now)
        checkAddress("operations.address", loaded.configuration.operations.address)
    }

    private mutating func checkCertificates(stateDirectory: String, now: Int64) {
        let configuration = loaded.configuration
        if configuration.tls.certificates.isEmpty {
            // Development generates its own certificate in this directory.
            if let reason = DirectoryAccess.failureReason(writingIn: stateDirectory) {
                reject(
                    "tls.certificates", stateDirectory, allowed: "a writable directory for the development certificate", hint: reason)
            }
            guard configuration.tls.clientAuth != .none else { return }
        }
        do throws(TLSConfigurationError) {
            let keys = TLSTicketKeys(rotation: .nanoseconds(configuration.tls.ticketRotation.clampedNanoseconds))
            warnings += try TLSContext(TLSSettings(configuration), ticketKeys: keys, now: now).warnings.map { "\($0)" }
        } catch {
            for problem in error.problems {
                // Development generates its own certificate.
                if problem.reason == .noCertificates { continue }
                let isAuthority = problem.path != nil && problem.path == configuration.tls.clientCA
                reject(isAuthority ? "tls.client_ca" : "tls.certificates", problem)
            }
        }
    }

    private mutating func checkOperationsCertificates(now: Int64) {
        do throws(TLSConfigurationError) {
            warnings += try OperationsCertificates(loaded.configuration, now: now).warnings.map { "\($0)" }
        } catch {
            for problem in error.problems { reject("operations.tls.certificates", problem) }
        }
    }

    private mutating func checkCluster(now: Int64) {
        let cluster = loaded.configuration.cluster
        guard let listen = cluster.listen else { return }
        checkAddress("cluster.listen", listen)
        do throws(TLSConfigurationError) {
            warnings += try NodeLinkSecurity(cluster, now: now).warnings.map { "\($0)" }
        } catch {
            for problem in error.problems {
                reject(problem.path == cluster.authority ? "cluster.tls.ca" : "cluster.tls.certificate", problem)
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
                    reject(key(isAuthority ? "ca" : "client_certificate"), problem)
                }
            } catch {
                reject(key("kind"), upstream.kind.rawValue, allowed: "an upstream that can be set up", hint: "\(error)")
            }
            if upstream.kind == .process, let program = upstream.command.first, !ProcessService.isExecutable(program) {
                reject(
                    key("command"), program, allowed: "the path of an executable program",
                    hint: program.contains("/") ? nil : "not found in PATH")
            }
        }
    }

    private mutating func checkStore() {
        let configuration = loaded.configuration
        switch configuration.store.kind {
        case .memory: break
        case .sqlite:
            do throws(StoreError) {
                try SQLiteStore.examine(configuration.store.path)
            } catch {
                reject("store.path", error.path, allowed: "a writable store file, or a path where one can be created", hint: error.problem)
            }
        case .redis:
            do throws(StoreError) {
                _ = try RedisStoreSettings(configuration, node: ULID(high: 0, low: 0))
            } catch {
                let key = error.path == configuration.store.passwordFile ? "store.password_file" : "store.tls.ca"
                reject(key, error.path, allowed: "readable and valid files", hint: error.problem)
            }
        }
    }

    private mutating func checkAddress(_ key: String, _ address: SocketEndpoint) {
        guard let reason = AddressCheck.failureReason(listeningOn: address) else { return }
        reject(key, "\(address)", allowed: "an address of this machine and a port that this user may listen on", hint: reason)
    }

    mutating func reject(_ key: String, _ problem: TLSConfigurationError.Problem) {
        reject(key, problem.path, allowed: "readable and valid files", hint: problem.reason.text)
    }

    mutating func warn(_ text: String) { warnings.append(text) }

    mutating func reject(_ key: String, _ value: String?, allowed: String, hint: String?) {
        let source = loaded.origins.first { $0.key == key }?.source ?? "default"
        problems.append(ConfigurationProblem(key: key, value: value, source: source, allowed: allowed, hint: hint))
    }
}

extension TLSSettings {
    /// The TLS settings of a configuration, without the certificate that development generates.
    package init(_ configuration: GatewayConfiguration) {
        self.init(
            certificates: configuration.tls.certificates.map { Certificate(certificate: $0.certificate, key: $0.key) },
            minimumVersion: configuration.tls.minimumVersion == .tls13 ? .v1_3 : .v1_2, clientAuthority: configuration.tls.clientCA,
            clientAuthentication: .init(rawValue: configuration.tls.clientAuth.rawValue) ?? .required)
    }
}
