import ArgumentParser

@main
struct Parley: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parley",
        abstract: "A TLS-terminating session gateway for voice and chat assistants.",
        version: Assembly.version,
        subcommands: [Serve.self, Config.self, Talk.self, Sessions.self],
        defaultSubcommand: Serve.self)
}
