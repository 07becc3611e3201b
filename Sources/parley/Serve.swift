// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayServer

/// `parley serve`: runs the gateway until SIGTERM or SIGINT.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the gateway.", usage: "parley serve \(ConfigurationArguments.usage)",
        discussion: """
            \(ConfigurationArguments.help)

            Flags override environment variables (such as PARLEY_CONNECTIONS_MAX), which override <environment>.yaml, which overrides \
            gateway.yaml.

            Exit codes:
              0  stopped by a signal
              1  any failure not listed here
              75  the store can't be opened: its disk is full, read-only or faulty, or its server can't be reached
              78  invalid configuration, certificate or store file
            """)

    @OptionGroup(visibility: .hidden) var arguments: ConfigurationArguments

    func run() async throws {
        if arguments.asksForHelp { throw CleanExit.helpRequest(self) }
        let status = await Assembly.serve(flags: arguments.flags, environment: ProcessInfo.processInfo.environment)
        throw ExitCode(status)
    }
}
