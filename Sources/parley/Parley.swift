// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct Parley: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parley",
        abstract: "A TLS-terminating session gateway for voice and chat assistants.",
        discussion: "parley --version prints the version. Without a subcommand, parley runs serve and accepts its flags.",
        subcommands: [Serve.self, Config.self, Talk.self, Sessions.self],
        defaultSubcommand: Serve.self)

    /// Runs the subcommand named by the arguments.
    static func run(_ arguments: [String]) async {
        if arguments == ["--version"] { return print(Assembly.version) }
        if let fault = UnknownSubcommand(in: arguments, of: Parley.self) { exit(withError: ValidationError(fault.description)) }
        // Subcommands print their own help, because only theirs lists the configuration flags.
        await main(arguments.first == "help" ? arguments.dropFirst() + ["--help"] : arguments)
    }
}
