import ArgumentParser
import Foundation

/// `parley serve`: runs the gateway until it is told to stop.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the gateway.",
        discussion: """
            Every configuration key is a flag: --connections.max 500. Flags win over variables (PARLEY_CONNECTIONS_MAX), variables over \
            files (config/gateway.yaml, config/<environment>.yaml). Exit codes: 0 after a drain, 78 for a wrong configuration, 1 otherwise.
            """)

    @Argument(parsing: .captureForPassthrough, help: "Configuration flags, --key value or --key=value.")
    var flags: [String] = []

    func run() async throws {
        if flags.contains("--help") || flags.contains("-h") { throw CleanExit.helpRequest(self) }
        let status = await Assembly.serve(flags: flags, environment: ProcessInfo.processInfo.environment)
        throw ExitCode(status)
    }
}
