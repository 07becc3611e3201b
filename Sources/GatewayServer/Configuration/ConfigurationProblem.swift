// SPDX-License-Identifier: Apache-2.0

/// One problem of the configuration: the key, the source, and what is allowed.
package struct ConfigurationProblem: Sendable, Hashable {
    /// The key as in the files (`connections.max`); for a problem without a key, the file, variable or argument.
    package var key: String
    /// The value that was found, masked if it is a secret. Nil if there is none to show, as with an unknown key, which could be a secret
    /// with a misspelled name.
    package var value: String?
    /// The source of the value: `config/production.yaml:12`, `PARLEY_CONNECTIONS_MAX`, `--connections.max` or `default`.
    package var source: String
    /// The values that are allowed.
    package var allowed: String
    /// The likely cause or the likely intention.
    package var hint: String?
    /// A line that solves the problem: `key: value` of a file, or a variable with its value.
    package var example: String?

    package init(
        key: String, value: String? = nil, source: String, allowed: String, hint: String? = nil, example: String? = nil
    ) {
        // A problem is printed and logged. A URL with credentials is rejected and would otherwise appear there.
        self.key = URLCredentials.masked(key)
        self.value = value.map(URLCredentials.masked)
        self.source = source
        self.allowed = allowed
        self.hint = hint
        self.example = example
    }
}

extension ConfigurationProblem: CustomStringConvertible {
    /// A few lines for the terminal, indented by two.
    package var description: String {
        var lines = [value.map { "  \(key) = \($0.isEmpty ? "\"\"" : $0)" } ?? "  \(key)"]
        lines.append("      in:      \(source)")
        lines.append("      allowed: \(allowed)")
        if let hint { lines.append("      hint:    \(hint)") }
        if let example { lines.append("      example: \(example)") }
        return lines.joined(separator: "\n")
    }
}

/// All problems of a configuration, reported together so that they can be fixed together.
package struct ConfigurationError: Error, Sendable, Equatable {
    /// At least one problem: first those of whole files, variables and flags, then those of keys in the order of `gateway.yaml`.
    package var problems: [ConfigurationProblem]
    /// The files of the configuration that were read.
    package var files: [String]
    /// In production, decisions that were left at a default, one text each; see ``LoadedConfiguration/openDecisions``.
    package var openDecisions: [String]

    package init(problems: [ConfigurationProblem], files: [String] = [], openDecisions: [String] = []) {
        self.problems = problems
        self.files = files
        self.openDecisions = openDecisions
    }
}

extension ConfigurationError: CustomStringConvertible {
    /// The whole report for the terminal, without a newline at its end.
    package var description: String {
        let count = problems.count == 1 ? "1 problem" : "\(problems.count) problems"
        return (["The configuration has \(count):"] + problems.map(\.description)).joined(separator: "\n\n")
    }
}
