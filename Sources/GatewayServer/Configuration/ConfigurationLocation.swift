// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The location of the configuration files: their directory, and the environment, which selects the second file. Both are set by a flag or
/// a variable, never by a file.
struct ConfigurationLocation {
    /// A text and its source.
    typealias Found = (text: String, source: String)

    private(set) var problems: [ConfigurationProblem] = []
    /// The environment; nil if its configured name is unknown.
    let environment: DeploymentEnvironment?
    /// The environment as configured.
    let named: Found
    /// The paths of `gateway.yaml` and the environment's file, whether they exist or not.
    let paths: [String]
    /// The directory of the files, as configured.
    let directory: Found

    init(flags: ConfigurationFlags, variables: [String: String], directory: String) {
        func find(_ name: String, _ variable: String, default text: String) -> Found {
            flags.value(of: name).map { ($0, "--" + name) } ?? variables[variable].map { ($0, variable) } ?? (text, "default")
        }
        self.directory = find("config", "PARLEY_CONFIG", default: directory)
        named = find("environment", "PARLEY_ENVIRONMENT", default: DeploymentEnvironment.development.rawValue)
        environment = DeploymentEnvironment(rawValue: named.text)
        // Without a known environment there is no second file.
        let directoryPath = self.directory.text
        paths = (["gateway"] + (environment.map { [$0.rawValue] } ?? [])).map { "\(directoryPath)/\($0).yaml" }
        checkDirectory()
        checkEnvironment()
    }

    /// Only the default directory may be missing: a misspelled `--config` would otherwise start the gateway with the defaults of development.
    private mutating func checkDirectory() {
        var isDirectory: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: directory.text, isDirectory: &isDirectory)
        guard directory.text.isEmpty || (exists ? !isDirectory.boolValue : isNamed) else { return }
        var hint: String?
        if exists, directory.text.hasSuffix(".yaml") || directory.text.hasSuffix(".yml") {
            let parent = (directory.text as NSString).deletingLastPathComponent
            hint = "name its directory: \(parent.isEmpty ? "." : parent)"
        } else if !exists, !directory.text.isEmpty {
            hint = "there is no such directory"
        }
        rejectDirectory(allowed: "the path of a directory", hint: hint)
    }

    /// Whether a flag or a variable sets the directory.
    private var isNamed: Bool { directory.source != "default" }

    /// Checks whether an explicitly set directory contains neither of the files; call it after the files were read. YAML files with
    /// other names are a problem. An empty directory is allowed, with a warning.
    ///
    /// - Parameter read: the ``paths`` that exist
    mutating func check(read: [String]) {
        warnings = unreadFiles
        // An unknown environment and a missing directory have been reported already.
        guard isNamed, read.isEmpty, problems.isEmpty else { return }
        let names = ConfigurationKey.alternatives(paths.map { ($0 as NSString).lastPathComponent })
        let others = DeploymentEnvironment.allCases.filter {
            FileManager.default.fileExists(atPath: "\(directory.text)/\($0.rawValue).yaml")
        }
        let hint = warnings.first ?? others.first.map { "there is \($0.rawValue).yaml, which is read with --environment \($0.rawValue)" }
        if let hint {
            rejectDirectory(allowed: "a directory with \(names) in it", hint: hint)
        } else {
            warnings = ["\(directory.text) (\(directory.source)): the directory has no \(names); the built-in defaults apply"]
        }
    }

    /// Warnings about the directory, one sentence each.
    private(set) var warnings: [String] = []

    /// One sentence for each YAML file of the directory that isn't read, at most ``maximumUnreadFiles``.
    private var unreadFiles: [String] {
        let known = Set(DeploymentEnvironment.allCases.map(\.rawValue) + ["gateway"]).map { $0 + ".yaml" }
        let found = (try? FileManager.default.contentsOfDirectory(atPath: directory.text)) ?? []
        let unread = found.filter { name in
            let kind = (name.lowercased() as NSString).pathExtension
            return (kind == "yaml" || kind == "yml") && !name.hasPrefix(".") && !known.contains(name)
        }
        return unread.sorted().prefix(Self.maximumUnreadFiles).map { name in
            let stem = (name.lowercased() as NSString).deletingPathExtension
            let meant = known.contains(stem + ".yaml") ? stem + ".yaml" : NameSuggestion.of(name.lowercased(), among: known)
            let path = "\(directory.text)/\(name)"
            guard let meant else { return "\(path) isn't read; the files are gateway.yaml and the environment's, such as production.yaml" }
            return "\(path) isn't read; did you mean \(meant)?"
        }
    }

    private static let maximumUnreadFiles = 8

    private mutating func rejectDirectory(allowed: String, hint: String?) {
        problems.append(
            ConfigurationProblem(key: "config", value: directory.text, source: directory.source, allowed: allowed, hint: hint))
    }

    private mutating func checkEnvironment() {
        guard environment == nil else { return }
        let names = DeploymentEnvironment.allCases.map(\.rawValue)
        problems.append(
            ConfigurationProblem(
                key: "environment", value: named.text, source: named.source, allowed: ConfigurationKey.alternatives(names),
                hint: NameSuggestion.of(named.text, among: names).map { "did you mean \($0)?" }))
    }
}
