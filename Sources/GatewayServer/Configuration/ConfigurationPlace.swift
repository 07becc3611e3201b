import Foundation

/// Which files are read: their directory, and the environment that chooses the second one. Both come from a flag or else a variable,
/// never from a file.
struct ConfigurationPlace {
    /// A text and where it was found.
    typealias Found = (text: String, source: String)

    private(set) var problems: [ConfigurationProblem] = []
    /// Nil when the name is no environment's.
    let environment: DeploymentEnvironment?
    /// The environment as it was named.
    let named: Found
    /// `gateway.yaml` and the environment's file, whether they exist or not.
    let paths: [String]

    init(flags: ConfigurationFlags, variables: [String: String], directory: String) {
        func find(_ name: String, _ variable: String, default text: String) -> Found {
            flags.value(of: name).map { ($0, "--" + name) } ?? variables[variable].map { ($0, variable) } ?? (text, "default")
        }
        let directory = find("config", "PARLEY_CONFIG", default: directory)
        named = find("environment", "PARLEY_ENVIRONMENT", default: DeploymentEnvironment.development.rawValue)
        environment = DeploymentEnvironment(rawValue: named.text)
        // Without a known environment there is no second file.
        paths = (["gateway"] + (environment.map { [$0.rawValue] } ?? [])).map { "\(directory.text)/\($0).yaml" }
        checkDirectory(directory)
        checkEnvironment()
    }

    private mutating func checkDirectory(_ directory: Found) {
        // One that isn't there is as good as an empty one.
        var isDirectory: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: directory.text, isDirectory: &isDirectory)
        guard directory.text.isEmpty || (exists && !isDirectory.boolValue) else { return }
        problems.append(
            ConfigurationProblem(key: "config", value: directory.text, source: directory.source, allowed: "the path of a directory"))
    }

    private mutating func checkEnvironment() {
        guard environment == nil else { return }
        let names = DeploymentEnvironment.allCases.map(\.rawValue)
        problems.append(
            ConfigurationProblem(
                key: "environment", value: named.text, source: named.source, allowed: ConfigurationKey.alternatives(names),
                hint: NearestName.of(named.text, among: names).map { "did you mean \($0)?" }))
    }
}
