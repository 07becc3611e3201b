// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayServer
import NIOPosix

/// `parley config`: checks or prints the configuration without starting a gateway.
struct Config: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check, print or compare the configuration, or list its keys.",
        discussion: """
            check and print accept the flags of serve:

            \(ConfigurationArguments.help)
            """,
        subcommands: [Check.self, Print.self, Diff.self, Keys.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Report every problem of the configuration; exit with 78 if there is any.",
            usage: "parley config check \(ConfigurationArguments.usage)",
            discussion: """
                Also checks certificates, keys, CA files, programs, the store's file and listener addresses, as serve does, and the \
                permissions of files with secrets. With --environment production it also warns about decisions that were left at a \
                default. Changes nothing, and can be used while a gateway is running.

                \(ConfigurationArguments.help)
                """)

        @OptionGroup(visibility: .hidden) var arguments: ConfigurationArguments

        func run() throws {
            if arguments.asksForHelp { throw CleanExit.helpRequest(self) }
            let loaded = try Config.load(arguments.flags)
            print("read: \(loaded.filesRead)")
            let check = StartupCheck(
                loaded, stateDirectory: Assembly.stateDirectory, group: MultiThreadedEventLoopGroup.singleton, now: Int64(time(nil)))
            let decisions = check.problems.isEmpty ? loaded.openDecisions : []
            for warning in loaded.warnings + decisions + check.warnings { print("warning: \(warning)") }
            guard check.problems.isEmpty else {
                throw Config.reject(ConfigurationError(problems: check.problems, openDecisions: loaded.openDecisions))
            }
            print("the configuration is valid")
        }
    }

    struct Print: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print each effective value and its source; secrets are masked.",
            usage: "parley config print [--json] \(ConfigurationArguments.usage)",
            discussion: """
                  --json                print one JSON object with the value and source of each key
                \(ConfigurationArguments.help)
                """)

        @OptionGroup(visibility: .hidden) var arguments: ConfigurationArguments

        func run() throws {
            if arguments.asksForHelp { throw CleanExit.helpRequest(self) }
            // --json isn't a configuration key; the loader would reject it.
            let loaded = try Config.load(arguments.flags.filter { $0 != "--json" })
            print(arguments.flags.contains("--json") ? try loaded.json : loaded.listing)
        }
    }

    struct Keys: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the configuration keys with their meaning, bounds and defaults.",
            discussion: """
                Keys of upstreams and routes are listed once, with <name> for the name of the block. * marks keys \
                that take effect on a reload; other keys require a restart.
                """)

        @Argument(help: "List only keys with this prefix, such as connections or upstreams.<name>.breaker.") var prefix = ""

        func run() throws {
            let listing = ConfigurationKey.listing(prefix: prefix)
            guard !listing.isEmpty else { throw ValidationError("no key begins with \(prefix); parley config keys lists all keys") }
            print(listing)
        }
    }

    static func load(_ flags: [String]) throws -> LoadedConfiguration {
        do {
            return try ConfigurationLoader.load(arguments: flags, environment: ProcessInfo.processInfo.environment)
        } catch {
            throw reject(error)
        }
    }

    private static func reject(_ error: ConfigurationError) -> ExitCode {
        let decisions = error.openDecisions.isEmpty ? "" : "\n\n" + error.openDecisions.map { "warning: \($0)" }.joined(separator: "\n")
        let files = error.files.isEmpty ? "" : "\n\nread: \(error.files.joined(separator: ", "))"
        FileHandle.standardError.write(Data("\(error)\(decisions)\(files)\n".utf8))
        return ExitCode(Assembly.configurationError)
    }
}
