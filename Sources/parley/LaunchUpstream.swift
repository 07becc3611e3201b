import ArgumentParser
import GatewayServer

/// How the gateway starts a `process` upstream. Of no use to people.
struct LaunchUpstream: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: ProcessLauncher.subcommand, abstract: "Becomes the program of a process upstream.", shouldDisplay: false)

    @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

    func run() throws {
        throw ExitCode(ProcessLauncher.run(arguments))
    }
}
