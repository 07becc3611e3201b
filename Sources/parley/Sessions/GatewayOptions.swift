// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayServer

/// The address of an operations listener and the token for it.
struct GatewayOptions: ParsableArguments {
    @Option(help: "host:port of the operations listener; default: operations.address of the local configuration.") var address: String?
    @Option(help: "File that contains the operations token.") var tokenFile: String?
    @Option(help: "Configuration directory that contains the listener's address, as for serve.") var config: String?
    @Option(help: "Environment of the configuration (development, staging or production), as for serve.") var environment: String?

    /// `EX_UNAVAILABLE` of sysexits.h.
    private static let unavailable: Int32 = 69

    /// Runs `body` with a client of the gateway; prints a failure on standard error and throws the exit code.
    func perform(_ body: (OperationsClient) async throws -> Void) async throws {
        let client = try client()
        do {
            try await body(client)
        } catch let failure as OperationsClient.Failure {
            Sessions.printError(ClientText.safe(failure.description))
            throw ExitCode(failure.isUnreachable ? Self.unavailable : 1)
        }
    }

    private func client() throws -> OperationsClient {
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
            guard let endpoint = SocketEndpoint(address) else {
                throw ValidationError("--address is host:port, such as 127.0.0.1:9464 or [::1]:9464")
            }
            return OperationsClient(endpoint: endpoint, token: token)
        }
        let flags = [("--config", config), ("--environment", self.environment)].flatMap { name, value in value.map { [name, $0] } ?? [] }
        do {
            let configuration = try ConfigurationLoader.load(arguments: flags, environment: environment).configuration
            let listener = configuration.operations.address
            // Clients can't connect to a wildcard address. A listener on it always accepts connections to the loopback address.
            let host = listener.host == "0.0.0.0" ? "127.0.0.1" : listener.host == "::" ? "::1" : listener.host
            return OperationsClient(
                endpoint: SocketEndpoint(host: host, port: listener.port), token: token ?? configuration.operations.token)
        } catch {
            Sessions.printError("\(error)\nhint: --address HOST:PORT works without a configuration")
            throw ExitCode(Assembly.configurationError)
        }
    }
}
