import ArgumentParser

/// The flags of the configuration, which every command that reads it takes.
struct ConfigurationArguments: ParsableArguments {
    /// Read by the configuration itself, which knows the keys.
    @Argument(parsing: .captureForPassthrough, help: ArgumentHelp("Configuration flags.", visibility: .hidden))
    var flags: [String] = []

    static let usage = "[--environment <name>] [--config <directory>] [--<key> <value> ...]"

    /// A line for each flag, for the help of a command, of at most 80 columns: longer ones are wrapped.
    static let help = """
          --environment <name>  development (the default), staging or production
          --config <directory>  with gateway.yaml, <environment>.yaml; default: config
          --<key> <value>       any key: --connections.max 500; see parley config keys
        """

    var asksForHelp: Bool { flags.contains("--help") || flags.contains("-h") }
}
