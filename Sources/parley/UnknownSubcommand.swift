import ArgumentParser
import GatewayServer

/// A word where a subcommand belongs that is none.
///
/// Without this it would be an argument of the default subcommand, and a mistyped `parley sevre` a stray word of `parley serve`.
struct UnknownSubcommand: CustomStringConvertible {
    let word: String
    /// The command that it was said to: `parley config`.
    let command: String
    let known: [String]

    /// Nil where the arguments have no such word.
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
        let hint = NearestName.of(word, among: known).map { " Did you mean \($0)?" } ?? ""
        return "unknown subcommand \(ClientText.safe(word)).\(hint) \(command) has \(known.joined(separator: ", "))."
    }
}
