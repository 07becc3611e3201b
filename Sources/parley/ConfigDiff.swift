// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayServer

extension Config {
    /// `parley config diff`: compares the local files with the configuration of a running gateway.
    struct Diff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compare the local configuration with the running gateway's.",
            usage: "parley config diff [--address <host:port>] [--token-file <path>] \(ConfigurationArguments.usage)",
            discussion: """
                Prints one line per key whose value differs:
                key: running -> local (source of the local value)  [reload or restart]

                Pass the flags that the gateway was started with. Secrets are masked, so a changed secret isn't found.

                Exit codes:
                  0  no difference
                  1  at least one difference, or the request was rejected
                  69  the gateway can't be reached
                  78  invalid configuration
                """)

        @OptionGroup var gateway: GatewayOptions
        @Argument(parsing: .allUnrecognized, help: ArgumentHelp("Configuration flags.", visibility: .hidden)) var flags: [String] = []

        func run() async throws {
            let local = try ConfigurationDocument(json: Array(Config.load(gateway.configurationFlags + flags).json.utf8))
            try await gateway.perform(flags: flags) { client in
                let body = try await client.get("/v1/gateway/configuration")
                guard let running = try? ConfigurationDocument(json: body) else { throw OperationsClient.Failure.undecodable }
                let differences = running.differences(to: local)
                for difference in differences { print(ClientText.safe(difference.description)) }
                if !differences.isEmpty { throw ExitCode(1) }
            }
        }
    }
}
