// SPDX-License-Identifier: Apache-2.0

/// Reads the configuration: defaults, then `gateway.yaml`, then `<environment>.yaml`, then variables, then flags. Later layers override earlier ones.
///
/// Every value of every layer is checked, even if a later layer overrides it. An invalid value would otherwise surface only when the override
/// is removed.
package enum ConfigurationLoader {
    /// Reads and checks everything.
    ///
    /// - Parameters:
    ///   - arguments: the flags, without program and subcommand.
    ///   - environment: the environment variables of the process.
    ///   - directory: the directory of the files, unless `--config` or `PARLEY_CONFIG` names another. Neither this default directory nor
    ///     any file in it has to exist.
    /// - Throws: `ConfigurationError` with all problems.
    package static func load(
        arguments: [String], environment: [String: String], directory: String = "config"
    ) throws(ConfigurationError) -> LoadedConfiguration {
        let flags = ConfigurationFlags(arguments)
        let variables = ConfigurationVariables(environment)
        var location = ConfigurationLocation(flags: flags, variables: environment, directory: directory)
        var fingerprint = ConfigurationFingerprint(of: location.paths + variables.secretFiles)
        let files = location.paths.compactMap(ConfigurationFile.init)
        location.check(read: files.map(\.path))
        var problems = location.problems + flags.problems + variables.problems + files.flatMap(\.problems)

        // If the environment is unknown, the remaining problems are found by the rules of development, which are the most lenient.
        var merged = MergedLayers(environment: location.environment ?? .development, rejected: Set(problems.map(\.key)))
        let layers = files.map(\.layer) + [variables.layer, flags.layer]
        let blocks = Set(layers.flatMap(\.names).compactMap { ConfigurationKey.named($0)?.block })
        for key in ConfigurationKey.all(with: blocks) { merged.read(key, from: layers) }
        merged.deriveSockets()
        problems += merged.problems
        let rules = ConfigurationRules(
            configuration: merged.configuration, rejected: merged.rejected,
            source: { merged.source(of: $0, in: layers) })
        problems += rules.problems
        guard problems.isEmpty else {
            throw ConfigurationError(problems: problems, files: files.map(\.path), openDecisions: rules.openDecisions)
        }

        let listeners = merged.configuration.tls.certificates + merged.configuration.operations.certificates
        let certificates = listeners.flatMap { [$0.certificate, $0.key] }
        let upstreams = merged.configuration.upstreams.values.flatMap(\.credentialFiles)
        let auth = merged.configuration.auth
        // The file of the JWK set is watched by the part that reads it.
        let keys = auth.publicKeys.map(\.path) + [auth.mintingKey?.path, auth.jwksCA].compactMap(\.self)
        let credentials = certificates + [merged.configuration.tls.clientCA].compactMap(\.self) + keys + upstreams.sorted()
        fingerprint.add(credentials)
        return LoadedConfiguration(
            configuration: merged.configuration,
            origins: [.init(key: "environment", value: location.named.text, source: location.named.source)] + merged.origins,
            watchedFiles: location.paths + variables.secretFiles + credentials, fingerprint: fingerprint,
            files: files.map { .init(path: $0.path, isEmpty: $0.isEmpty) }, directory: location.directory.text,
            warnings: location.warnings + rules.warnings, openDecisions: rules.openDecisions, secretFiles: variables.secretFiles)
    }

    /// The result of merging the layers.
    private struct MergedLayers {
        var configuration: GatewayConfiguration
        var sources: [String: String] = [:]
        /// Keys with a problem, to which no further checks apply.
        var rejected: Set<String>
        var problems: [ConfigurationProblem] = []

        init(environment: DeploymentEnvironment, rejected: Set<String>) {
            self.configuration = .defaults(for: environment)
            self.rejected = rejected
        }

        /// Reads a key's value from each layer, the lowest first; the last valid value wins.
        mutating func read(_ key: ConfigurationKey, from layers: [ConfigurationLayer]) {
            for layer in layers {
                guard let texts = layer.texts(of: key) else { continue }
                if key.assign(texts, &configuration) {
                    sources[key.name] = layer.source(key)
                } else {
                    rejected.insert(key.name)
                    let text = key.isList ? "[" + texts.joined(separator: ", ") + "]" : texts.joined()
                    problems.append(
                        ConfigurationProblem(
                            key: key.name, value: key.isSecret ? ConfigurationKey.mask : text, source: layer.source(key),
                            allowed: key.allowed))
                }
            }
        }

        /// `connections.max_sockets` follows `connections.max` unless it is set: 128 more for handshakes and probes.
        mutating func deriveSockets() {
            guard sources["connections.max_sockets"] == nil else { return }
            let max = configuration.connections.max
            configuration.connections.maxSockets = max == 0 ? 0 : max + 128
        }

        /// Returns the source of a key's value; for an unset key of a block, the source of the block.
        func source(of name: String, in layers: [ConfigurationLayer]) -> String {
            if let source = sources[name] { return source }
            guard let block = ConfigurationKey.named(name)?.block else { return "default" }
            let group = "\(block.group).\(block.name)"
            if let source = layers.lazy.compactMap({ $0.groups[group] }).first { return source }
            return block.keys.lazy.compactMap { sources[$0.name] }.first ?? "default"
        }

        var origins: [LoadedConfiguration.Origin] {
            ConfigurationKey.all(of: configuration).map {
                .init(key: $0.name, value: $0.shown(in: configuration), source: sources[$0.name] ?? "default")
            }
        }
    }
}
