// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import GatewayServer

/// A temporary directory of configuration files, removed after the test.
struct ConfigurationDirectory: ~Copyable {
    let path: String

    /// Creates the files from their names and texts.
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

    /// Returns the problems of the configuration; empty if it loads.
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
    /// Returns the effective value of a key, and its source.
    func origin(_ key: String) -> Origin? { origins.first { $0.key == key } }
}

/// Returns a key by name; fails the test if there is none.
func configurationKey(_ name: String) throws -> ConfigurationKey { try #require(ConfigurationKey.byName[name]) }

/// Loads a configuration without any files.
func loadConfiguration(_ arguments: [String] = [], _ variables: [String: String] = [:]) throws -> LoadedConfiguration {
    try ConfigurationDirectory().load(arguments, variables)
}

/// Returns the problems of a configuration without any files; empty if it loads.
func configurationProblems(_ arguments: [String] = [], _ variables: [String: String] = [:]) throws -> [ConfigurationProblem] {
    try ConfigurationDirectory().problems(arguments, variables)
}
