// SPDX-License-Identifier: Apache-2.0

package import Logging
import ServiceLifecycle
import Synchronization
import UnixSignals

/// The service that reloads the configuration on SIGHUP, on request, and when its files change.
///
/// Reloadable changes are applied; other changes are reported and not applied. A configuration with a problem changes nothing.
package final class ConfigurationService: Service {
    /// The functions that apply a new configuration, called in this order: `certificates` can fail, `apply` can't.
    package struct Target: Sendable {
        package var certificates: @Sendable (GatewayConfiguration) throws -> Void
        package var apply: @Sendable (GatewayConfiguration) async -> Void
        /// Called before and after each reload, also one that is rejected.
        package var began: @Sendable () -> Void = {}
        package var ended: @Sendable () -> Void = {}
        /// Called after each reload with its reason and result.
        package var reported: @Sendable (String, ReloadReport) -> Void = { _, _ in }

        package init(
            certificates: @escaping @Sendable (GatewayConfiguration) throws -> Void,
            apply: @escaping @Sendable (GatewayConfiguration) async -> Void
        ) {
            self.certificates = certificates
            self.apply = apply
        }
    }

    private let load: @Sendable () throws(ConfigurationError) -> LoadedConfiguration
    private let target: Target
    private let logger: Logger
    private let state: Mutex<LoadedConfiguration>
    private let last = Mutex<Task<ReloadReport, Never>?>(nil)
    /// The problems of the last reload, which have been logged.
    private let logged = Mutex<[String]>([])
    private let problems = Atomic<Int>(0)

    /// How often the files are checked.
    package static let pollInterval = Duration.seconds(2)
    /// How soon the files are checked again after a change.
    package static let settleInterval = Duration.milliseconds(200)

    package init(
        loaded: LoadedConfiguration, target: Target, logger: Logger,
        load: @escaping @Sendable () throws(ConfigurationError) -> LoadedConfiguration
    ) {
        self.load = load
        self.target = target
        self.logger = logger
        state = Mutex(loaded)
    }

    /// The configuration in effect.
    package var current: GatewayConfiguration { state.withLock { $0.configuration } }

    /// The configuration in effect as JSON, in the format of `parley config print --json`; secrets are masked.
    package func json() throws -> [UInt8] { Array(try state.withLock { $0 }.json.utf8) }

    /// The reason why the configuration files aren't in effect, without any of their contents; nil if they are in effect.
    package var rejection: String? {
        let count = problems.load(ordering: .relaxed)
        return count > 0 ? "the last reload was rejected (\(count == 1 ? "1 problem" : "\(count) problems")); see the log" : nil
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.reloadOnSignals() }
                group.addTask { await self.reloadOnChanges() }
            }
        }
    }

    private func reloadOnSignals() async {
        for await _ in await UnixSignalsSequence(trapping: .sighup) { await reload(because: "SIGHUP") }
    }

    private func reloadOnChanges() async {
        var watch = FileWatch()
        while (try? await Task.sleep(for: watch.isSettling ? Self.settleInterval : Self.pollInterval)) != nil { await checkFiles(&watch) }
    }

    /// Checks the files once, and reloads if they have changed. A rejected reload is retried at every check: a file that couldn't be read
    /// at the moment of its change, for lack of descriptors for instance, doesn't change again when it becomes readable.
    func checkFiles(_ watch: inout FileWatch) async {
        let (files, known) = state.withLock { ($0.watchedFiles, $0.fingerprint) }
        let fingerprint = ConfigurationFingerprint(of: files)
        if watch.hasChanged(fingerprint, from: known) {
            // Stored even if the new files have problems.
            state.withLock { $0.fingerprint = fingerprint }
            await reload(because: "a file changed")
        } else if rejection != nil, !watch.isSettling {
            await reload(because: "the last reload was rejected", isRetry: true)
        }
    }

    /// Reads the configuration and applies it. Reloads run one at a time, in order, and each reads the newest files.
    ///
    /// - Parameter isRetry: whether to log problems only if they differ from the last ones
    @discardableResult
    package func reload(because reason: String, isRetry: Bool = false) async -> ReloadReport {
        let task = last.withLock { last in
            let before = last
            let task = Task {
                _ = await before?.value
                target.began()
                let report = await perform(because: reason)
                target.ended()
                target.reported(reason, report)
                let isNews = logged.withLock { logged in
                    defer { logged = report.problems }
                    return logged != report.problems
                }
                if !isRetry || isNews {
                    for problem in report.problems { logger.error("configuration not reloaded", metadata: ["problem": "\(problem)"]) }
                }
                problems.store(report.problems.count, ordering: .relaxed)
                return report
            }
            last = task
            return task
        }
        return await task.value
    }

    private func perform(because reason: String) async -> ReloadReport {
        let loaded: LoadedConfiguration
        do throws(ConfigurationError) {
            loaded = try load()
            let unavailableFiles = loaded.unavailableFiles(since: state.withLock { $0 })
            guard unavailableFiles.isEmpty else { throw ConfigurationError(problems: unavailableFiles) }
        } catch {
            return ReloadReport(problems: error.problems.map { "\($0)" })
        }
        let diff = ConfigurationDiff(from: current, to: loaded.configuration)
        do {
            try target.certificates(diff.applied)
        } catch {
            return ReloadReport(problems: ["\(error)"])
        }
        let known = replace(loaded, by: diff)
        for warning in loaded.warnings where !known.contains(warning) {
            logger.warning("configuration", metadata: ["problem": "\(warning)"])
        }
        await target.apply(diff.applied)
        for change in diff.reloadable { logger.notice("configuration changed", metadata: Self.metadata(change)) }
        for change in diff.needsRestart { logger.warning("restart required", metadata: Self.metadata(change)) }
        logger.notice(
            "configuration reloaded",
            metadata: ["reason": "\(reason)", "changes": "\(diff.reloadable.map(\.key).joined(separator: ", "))"])
        return ReloadReport(changed: diff.reloadable.map(\.key), needsRestart: diff.needsRestart.map(\.key))
    }

    /// The values of a secret are masked.
    private static func metadata(_ change: ConfigurationDiff.Change) -> Logger.Metadata {
        ["key": "\(change.key)", "old": "\(change.old)", "new": "\(change.new)"]
    }

    /// Replaces the configuration in effect. Keys that require a restart keep their source together with their value.
    ///
    /// - Returns: the warnings of the configuration that was in effect before
    private func replace(_ loaded: LoadedConfiguration, by diff: ConfigurationDiff) -> [String] {
        state.withLock { state in
            let known = state.warnings
            let kept = Set(diff.needsRestart.map(\.key))
            let old = Dictionary(state.origins.map { ($0.key, $0) }) { first, _ in first }
            state = loaded
            state.configuration = diff.applied
            state.origins = loaded.origins.map { kept.contains($0.key) ? old[$0.key] ?? $0 : $0 }
            return known
        }
    }
}
