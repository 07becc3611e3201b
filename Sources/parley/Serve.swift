import ArgumentParser
import Foundation
import GatewayServer

/// `parley serve`: runs the gateway until SIGTERM or SIGINT.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the gateway.", usage: "parley serve \(ConfigurationArguments.usage)",
        discussion: """
            \(ConfigurationArguments.help)

            Flags override environment variables (PARLEY_CONNECTIONS_MAX), which override files (<environment>.yaml, gateway.yaml).

            Exit codes:
              0  stopped by a signal
              75  the store's disk is full, read-only or faulty
              78  invalid configuration, certificate or store file
              1  any other failure
            """)

    @OptionGroup(visibility: .hidden) var arguments: ConfigurationArguments

    func run() async throws {
        if arguments.asksForHelp { throw CleanExit.helpRequest(self) }
        let status = await Assembly.serve(flags: arguments.flags, environment: ProcessInfo.processInfo.environment)
        throw ExitCode(status)
    }
}
