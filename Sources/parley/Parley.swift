// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

struct Parley: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parley",
        abstract: "A TLS-terminating session gateway for voice and chat assistants.",
        discussion: "parley --version prints the version and the commit. Without a subcommand, parley runs serve and accepts its flags.",
        subcommands: [
            Serve.self, Init.self, Config.self, Health.self, Talk.self, Sessions.self, Token.self, Usage.self, Top.self, LogLines.self,
            Audit.self, PushCommand.self,
        ],
        defaultSubcommand: Serve.self)

    /// Runs the subcommand named by the arguments.
    static func run(_ arguments: [String]) async {
        if DocumentedParley.isRequested(by: arguments) { return await DocumentedParley.main(arguments) }
        await main(checked(arguments))
    }

    /// Runs the subcommand named by the arguments on the main thread, and exits.
    ///
    /// Help, the version and the synchronous subcommands work without `/proc`; the others, and the help of `talk`, need threads, and end with an
    /// error. `serve` reports an invalid configuration in preference to the missing `/proc`.
    static func runWithoutProc(_ arguments: [String]) -> Never {
        do {
            var command = try parseAsRoot(checked(arguments))
            if let serve = command as? Serve {
                if serve.arguments.asksForHelp { throw CleanExit.helpRequest(serve) }
                _ = try Config.load(serve.arguments.flags)
            }
            guard !(command is any AsyncParsableCommand) else {
                FileHandle.standardError.write(
                    Data("/proc isn't mounted; \(command is Serve ? "the gateway" : "parley") can't run without it\n".utf8))
                throw ExitCode.failure
            }
            try command.run()
            throw ExitCode.success
        } catch {
            exit(withError: error)
        }
    }

    /// Returns the arguments that ArgumentParser reads. Exits for those that it would misread.
    private static func checked(_ arguments: [String]) -> [String] {
        if arguments == ["--version"] {
            print(Version.text)
            exit()
        }
        if let fault = UnknownSubcommand(in: arguments, of: Parley.self) { exit(withError: ValidationError(fault.description)) }
        // Subcommands print their own help, because only theirs lists the configuration flags.
        return arguments.first == "help" ? arguments.dropFirst() + ["--help"] : arguments
    }
}
