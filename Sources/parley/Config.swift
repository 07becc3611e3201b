import ArgumentParser
import Foundation
import GatewayServer
import NIOPosix

/// `parley config`: looks at the configuration without running anything.
struct Config: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check or print the configuration, or list its keys.",
        discussion: """
            check and print take the flags of serve:

            \(ConfigurationArguments.help)
            """,
        subcommands: [Check.self, Print.self, Keys.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Report everything that is wrong, and exit 78 if anything is.",
            usage: "parley config check \(ConfigurationArguments.usage)",
            discussion: """
                Reads certificates, keys and authorities, and looks for programs, the store's file and addresses as serve does. Changes \
                nothing; a gateway may run meanwhile.

                \(ConfigurationArguments.help)
                """)

        @OptionGroup(visibility: .hidden) var arguments: ConfigurationArguments

        func run() throws {
            if arguments.asksForHelp { throw CleanExit.helpRequest(self) }
            let loaded = try Config.load(arguments.flags)
            print("read: \(loaded.filesRead)")
            let check = StartCheck(
                loaded, stateFolder: Assembly.stateFolder, group: MultiThreadedEventLoopGroup.singleton, now: Int64(time(nil)))
            for warning in loaded.warnings + check.warnings { print("warning: \(warning)") }
            guard check.problems.isEmpty else { throw Config.refuse(ConfigurationError(problems: check.problems)) }
            print("the configuration is good")
        }
    }

    struct Print: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show each effective value and where it comes from; secrets are masked.",
            usage: "parley config print [--json] \(ConfigurationArguments.usage)",
            discussion: """
                  --json                one JSON object, with the value and source of each key
                \(ConfigurationArguments.help)
                """)

        @OptionGroup(visibility: .hidden) var arguments: ConfigurationArguments

        func run() throws {
            if arguments.asksForHelp { throw CleanExit.helpRequest(self) }
            // Not a key, and so not for the configuration to read.
            let loaded = try Config.load(arguments.flags.filter { $0 != "--json" })
            print(arguments.flags.contains("--json") ? try loaded.json : loaded.listing)
        }
    }

    struct Keys: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the keys: what each is for, what it may be, its defaults.",
            discussion: "Upstreams and routes stand in it once, with <name> for the name of a block. * marks what a reload changes.")

        @Argument(help: "Only keys that begin with this: connections, upstreams.<name>.breaker.") var prefix = ""

        func run() throws {
            let listing = ConfigurationKey.listing(prefix: prefix)
            guard !listing.isEmpty else { throw ValidationError("no key begins with \(prefix); parley config keys lists all") }
            print(listing)
        }
    }

    private static func load(_ flags: [String]) throws -> LoadedConfiguration {
        do {
            return try ConfigurationLoader.load(arguments: flags, environment: ProcessInfo.processInfo.environment)
        } catch {
            throw refuse(error)
        }
    }

    private static func refuse(_ error: ConfigurationError) -> ExitCode {
        let files = error.files.isEmpty ? "" : "\n\nread: \(error.files.joined(separator: ", "))"
        FileHandle.standardError.write(Data("\(error)\(files)\n".utf8))
        return ExitCode(Assembly.configurationError)
    }
}
