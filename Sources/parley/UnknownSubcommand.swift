// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import GatewayServer

/// An argument that is in the position of a subcommand, but isn't the name of a subcommand.
///
/// ArgumentParser would pass it to the default subcommand, and `parley sevre` would be reported as an unexpected argument of `parley serve`.
struct UnknownSubcommand: CustomStringConvertible {
    let word: String
    /// The command that the word follows: `parley config`.
    let command: String
    let known: [String]

    /// Returns nil if the arguments contain no unknown subcommand.
    init?(in arguments: [String], of root: any ParsableCommand.Type) {
        var (command, path) = (root, [root._commandName])
        for argument in arguments {
            let subcommands = command.configuration.subcommands
            guard !subcommands.isEmpty, !argument.hasPrefix("-"), argument != "help" else { return nil }
            guard let next = subcommands.first(where: { $0._commandName == argument || $0.configuration.aliases.contains(argument) }) else {
                (word, self.command, known) = (argument, path.joined(separator: " "), subcommands.map { $0._commandName })
                return
            }
            (command, path) = (next, path + [argument])
        }
        return nil
    }

    var description: String {
        let hint = NameSuggestion.of(word, among: known).map { " Did you mean \($0)?" } ?? ""
        return "unknown subcommand \(ClientText.safe(word)).\(hint) Subcommands of \(command): \(known.joined(separator: ", "))."
    }
}
