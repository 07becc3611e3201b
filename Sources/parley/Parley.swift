import ArgumentParser

struct Parley: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parley",
        abstract: "A TLS-terminating session gateway for voice and chat assistants.",
        discussion: "parley --version shows the version. Without a subcommand parley serves, with the flags of serve.",
        subcommands: [Serve.self, Config.self, Talk.self, Sessions.self],
        defaultSubcommand: Serve.self)

    /// Runs the command that the arguments name.
    static func run(_ arguments: [String]) async {
        if arguments == ["--version"] { return print(Assembly.version) }
        if let fault = UnknownSubcommand(in: arguments, of: Parley.self) { exit(withError: ValidationError(fault.description)) }
        // Subcommands print their own help, which knows the flags of the configuration.
        await main(arguments.first == "help" ? arguments.dropFirst() + ["--help"] : arguments)
    }
}
