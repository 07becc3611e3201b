// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The configuration flags, shared by the commands that load the configuration.
struct ConfigurationArguments: ParsableArguments {
    /// Parsed by the configuration loader, which knows the keys.
    @Argument(parsing: .captureForPassthrough, help: ArgumentHelp("Configuration flags.", visibility: .hidden))
    var flags: [String] = []

    static let usage = "[--environment <name>] [--config <directory>] [--<key> <value> ...]"

    /// One help line per flag, of at most 80 columns, because ArgumentParser wraps longer lines.
    static let help = """
          --environment <name>  development (the default), staging or production
          --config <directory>  holds gateway.yaml, <environment>.yaml; default: config
          --<key> <value>       any key: --connections.max 500; see parley config keys
        """

    var asksForHelp: Bool { flags.contains("--help") || flags.contains("-h") }
}
