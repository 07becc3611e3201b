// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `parley` with the options of every subcommand, from which ArgumentParser generates completion scripts and the input of the manual pages.
///
/// ``Talk`` parses its own arguments, so its options are declared by ``TalkArguments``.
struct DocumentedParley: AsyncParsableCommand {
    static let configuration: CommandConfiguration = {
        var configuration = Parley.configuration
        configuration.subcommands = configuration.subcommands.map { $0 == Talk.self ? TalkArguments.self : $0 }
        return configuration
    }()

    /// Whether the arguments ask for a completion script or for the description of all options.
    static func isRequested(by arguments: [String]) -> Bool {
        guard let first = arguments.first else { return false }
        return first.hasPrefix("--generate-completion-script") || first == "--experimental-dump-help"
    }
}
