import ArgumentParser
import Foundation
import GatewayServer

/// `parley serve`: runs the gateway until it is told to stop.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the gateway.", usage: "parley serve \(ConfigurationArguments.usage)",
        discussion: """
            \(ConfigurationArguments.help)

            Flags win over variables (PARLEY_CONNECTIONS_MAX), variables over files (gateway.yaml, <environment>.yaml). Exit codes: 0 after a \
            drain, 75 for a disk that can't be written, 78 for a wrong configuration, 1 otherwise.
            """)

    @OptionGroup(visibility: .hidden) var arguments: ConfigurationArguments

    func run() async throws {
        if arguments.asksForHelp { throw CleanExit.helpRequest(self) }
        let status = await Assembly.serve(flags: arguments.flags, environment: ProcessInfo.processInfo.environment)
        throw ExitCode(status)
    }
}
