/// One thing that is wrong with the configuration: what, where, and what would be right.
package struct ConfigurationProblem: Sendable, Hashable {
    /// The key as it is named in the files (`connections.max`); for what has no key, the file, variable or argument itself.
    package var key: String
    /// What was found, masked when it is a secret. Nil where there is no value to show, as with an unknown key: it could be a
    /// secret whose name was misspelt.
    package var value: String?
    /// Where it was found: `config/production.yaml:12`, `PARLEY_CONNECTIONS_MAX`, `--connections.max` or `default`.
    package var source: String
    /// What is allowed there.
    package var allowed: String
    /// A guess at what was meant.
    package var hint: String?

    package init(key: String, value: String? = nil, source: String, allowed: String, hint: String? = nil) {
        // A problem is printed and logged: a URL with credentials is refused, and would be shown for that.
        self.key = URLCredentials.masked(key)
        self.value = value.map(URLCredentials.masked)
        self.source = source
        self.allowed = allowed
        self.hint = hint
    }
}

extension ConfigurationProblem: CustomStringConvertible {
    /// A few lines for the terminal, indented by two.
    package var description: String {
        var lines = [value.map { "  \(key) = \($0.isEmpty ? "\"\"" : $0)" } ?? "  \(key)"]
        lines.append("      in:      \(source)")
        lines.append("      allowed: \(allowed)")
        if let hint { lines.append("      hint:    \(hint)") }
        return lines.joined(separator: "\n")
    }
}

/// Everything that is wrong with a configuration, found in one go, so that it can be put right in one go.
package struct ConfigurationError: Error, Sendable, Equatable {
    /// At least one: first what concerns whole files, variables and flags, then keys in the order of `gateway.yaml`.
    package var problems: [ConfigurationProblem]
    /// The files of the configuration that were read.
    package var files: [String]

    package init(problems: [ConfigurationProblem], files: [String] = []) {
        self.problems = problems
        self.files = files
    }
}

extension ConfigurationError: CustomStringConvertible {
    /// The whole report for the terminal, without a newline at its end.
    package var description: String {
        let count = problems.count == 1 ? "1 problem" : "\(problems.count) problems"
        return (["The configuration has \(count):"] + problems.map(\.description)).joined(separator: "\n\n")
    }
}
