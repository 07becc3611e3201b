import ArgumentParser
import Foundation
import GatewayServer

/// `parley config`: looks at the configuration without running anything.
struct Config: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check or print the configuration.", subcommands: [Check.self, Print.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Report everything that is wrong, and exit 78 if anything is.")

        @Argument(parsing: .captureForPassthrough, help: "Configuration flags, as for serve.")
        var flags: [String] = []

        func run() throws {
            if flags.contains("--help") || flags.contains("-h") { throw CleanExit.helpRequest(self) }
            _ = try Config.load(flags)
            print("the configuration is good")
        }
    }

    struct Print: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show each effective value and where it comes from; secrets are masked.")

        @Argument(parsing: .captureForPassthrough, help: "Configuration flags, as for serve.")
        var flags: [String] = []

        func run() throws {
            if flags.contains("--help") || flags.contains("-h") { throw CleanExit.helpRequest(self) }
            print(try Config.load(flags).listing)
        }
    }

    private static func load(_ flags: [String]) throws -> LoadedConfiguration {
        do {
            return try ConfigurationLoader.load(arguments: flags, environment: ProcessInfo.processInfo.environment)
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            throw ExitCode(Assembly.configurationError)
        }
    }
}
