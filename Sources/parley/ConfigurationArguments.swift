import ArgumentParser

/// The flags of the configuration, which every command that reads it takes.
struct ConfigurationArguments: ParsableArguments {
    /// Read by the configuration itself, which knows the keys.
    @Argument(parsing: .captureForPassthrough, help: ArgumentHelp("Configuration flags.", visibility: .hidden))
    var flags: [String] = []

    static let usage = "[--environment <name>] [--config <directory>] [--<key> <value> ...]"

    /// A line for each flag, for the help of a command.
    static let help = """
          --environment <name>    development (the default), staging or production; or PARLEY_ENVIRONMENT.
          --config <directory>    The directory of gateway.yaml and <environment>.yaml, config unless given; or PARLEY_CONFIG.
          --<key> <value>         Any key of the configuration, such as --connections.max 500; parley config keys lists them.
        """

    var asksForHelp: Bool { flags.contains("--help") || flags.contains("-h") }
}
