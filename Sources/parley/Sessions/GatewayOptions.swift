// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayServer
import GatewayTLS

/// The address of an operations listener and the token for it.
struct GatewayOptions: ParsableArguments {
    @Option(
        help:
            "host:port of the operations listener, or https://host:port if it uses TLS; default: operations.address of the local configuration."
    )
    var address: String?
    @Flag(help: "Use TLS, as with an https address.") var tls = false
    @Option(help: "PEM file of the CAs that sign the listener's certificate; default: the system's.", completion: .file()) var ca: String?
    @Option(help: "File that contains the operations token.", completion: .file()) var tokenFile: String?
    @Option(help: "Configuration directory that contains the listener's address, as for serve.", completion: .directory) var config: String?
    @Option(
        help: "Environment of the configuration (development, staging or production), as for serve.",
        completion: .list(["development", "staging", "production"]))
    var environment: String?

    /// `EX_UNAVAILABLE` of sysexits.h.
    static let unavailable: Int32 = 69

    static let invalidAddress = ValidationError(
        "--address is host:port or https://host:port, such as 127.0.0.1:9464, [::1]:9464 or https://gateway.internal:9464")

    /// The flags of the configuration that these options stand for.
    var configurationFlags: [String] { Self.flags(config: config, environment: environment) }

    static func flags(config: String?, environment: String?) -> [String] {
        [("--config", config), ("--environment", environment)].flatMap { name, value in value.map { [name, $0] } ?? [] }
    }

    /// Runs `body` with a client of the gateway; prints a failure on standard error and throws the exit code.
    ///
    /// - Parameter flags: further flags of the configuration
    func perform(flags: [String] = [], _ body: (OperationsClient) async throws -> Void) async throws {
        let client = try client(flags: flags)
        do {
            try await body(client)
        } catch let failure as OperationsClient.Failure {
            Sessions.printError(ClientText.safe(failure.description))
            throw ExitCode(failure.isUnreachable ? Self.unavailable : 1)
        }
    }

    private func client(flags: [String]) throws -> OperationsClient {
        let environment = ProcessInfo.processInfo.environment
        var token = environment["PARLEY_OPERATIONS_TOKEN"]
        if let path = tokenFile ?? environment["PARLEY_OPERATIONS_TOKEN_FILE"] {
            let text: String
            do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
                Sessions.printError("\(path): \(FileErrorText.text(error))")
                throw ExitCode(1)
            }
            token = text.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        guard token?.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) ?? true else {
            Sessions.printError("the operations token must consist of printable ASCII characters without spaces")
            throw ExitCode(1)
        }
        if let address {
            guard let target = OperationsAddress(address) else { throw Self.invalidAddress }
            return OperationsClient(
                endpoint: target.endpoint, token: token,
                tls: try clientContext(target.isSecure || tls || ca != nil, host: target.endpoint.host))
        }
        let configuration = try Self.load(configurationFlags + flags)
        let endpoint = configuration.operations.address.reachable
        return OperationsClient(
            endpoint: endpoint, token: token ?? configuration.operations.token,
            tls: try clientContext(!configuration.operations.certificates.isEmpty || tls || ca != nil, host: endpoint.host))
    }

    /// Returns the TLS settings of a client; nil for plain HTTP. Prints a problem of the CA file on standard error.
    private func clientContext(_ isSecure: Bool, host: String) throws -> TLSClientContext? {
        guard isSecure else { return nil }
        do throws(TLSConfigurationError) {
            return try TLSClientContext(verify: ca.map { .authority(path: $0) } ?? .system, serverName: host)
        } catch {
            Sessions.printError("\(error)")
            throw ExitCode(1)
        }
    }

    /// Loads the local configuration; prints its problems on standard error and throws the exit code.
    static func load(_ flags: [String]) throws -> GatewayConfiguration {
        do {
            return try ConfigurationLoader.load(arguments: flags, environment: ProcessInfo.processInfo.environment).configuration
        } catch {
            Sessions.printError("\(error)\nhint: --address HOST:PORT works without a configuration")
            throw ExitCode(Assembly.configurationError)
        }
    }
}
