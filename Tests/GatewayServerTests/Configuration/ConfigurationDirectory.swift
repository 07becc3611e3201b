import Foundation
import Testing

@testable import GatewayServer

/// A directory of configuration files that is gone after the test.
struct ConfigurationDirectory: ~Copyable {
    let path: String

    /// Makes the files: name, then text.
    init(_ files: [String: String] = [:]) throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("parley-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for (name, text) in files { try write(text, to: name) }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/" + name))
    }

    /// Loads from this directory.
    func load(_ arguments: [String] = [], _ variables: [String: String] = [:]) throws(ConfigurationError) -> LoadedConfiguration {
        try ConfigurationLoader.load(arguments: arguments, environment: variables, directory: path)
    }

    /// What is wrong; empty when it loads.
    func problems(_ arguments: [String] = [], _ variables: [String: String] = [:]) -> [ConfigurationProblem] {
        do throws(ConfigurationError) {
            _ = try load(arguments, variables)
            return []
        } catch {
            return error.problems
        }
    }
}

extension LoadedConfiguration {
    /// The effective value of a key, and its source.
    func origin(_ key: String) -> Origin? { origins.first { $0.key == key } }
}

/// The key of the table; fails the test if there is none.
func configurationKey(_ name: String) throws -> ConfigurationKey { try #require(ConfigurationKey.byName[name]) }

/// Loads without any file.
func loadConfiguration(_ arguments: [String] = [], _ variables: [String: String] = [:]) throws -> LoadedConfiguration {
    try ConfigurationDirectory().load(arguments, variables)
}

/// What is wrong, without any file; empty when it loads.
func configurationProblems(_ arguments: [String] = [], _ variables: [String: String] = [:]) throws -> [ConfigurationProblem] {
    try ConfigurationDirectory().problems(arguments, variables)
}
