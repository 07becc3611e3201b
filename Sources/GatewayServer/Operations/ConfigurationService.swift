package import Logging
import ServiceLifecycle
import Synchronization
import UnixSignals

/// Keeps the configuration current: reads it again on SIGHUP, on request, and when its files change.
///
/// What can change at run time is applied; what can't is reported and left alone; a configuration with a mistake changes nothing.
package final class ConfigurationService: Service {
    /// What a reload acts on. Applied in this order: certificates can still fail, the rest can't.
    package struct Target: Sendable {
        package var certificates: @Sendable (GatewayConfiguration) throws -> Void
        package var apply: @Sendable (GatewayConfiguration) async -> Void

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
    /// Problems of the last reload that the log has.
    private let logged = Mutex<[String]>([])
    private let problems = Atomic<Int>(0)

    /// How often the files are looked at.
    package static let pollInterval = Duration.seconds(2)
    /// How soon they are looked at again after a change.
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

    /// The configuration in force.
    package var current: GatewayConfiguration { state.withLock { $0.configuration } }

    /// The reason why the files aren't in force, without anything of what is in them; nil when they are.
    package var refusal: String? {
        let count = problems.load(ordering: .relaxed)
        return count > 0 ? "the last reload was refused (\(count == 1 ? "1 problem" : "\(count) problems")); see the log" : nil
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.onSignal() }
                group.addTask { await self.onChange() }
            }
        }
    }

    private func onSignal() async {
        for await _ in await UnixSignalsSequence(trapping: .sighup) { await reload(because: "SIGHUP") }
    }

    private func onChange() async {
        var watch = FileWatch()
        while (try? await Task.sleep(for: watch.isSettling ? Self.settleInterval : Self.pollInterval)) != nil { await look(&watch) }
    }

    /// Looks at the files once, and reloads where they have changed. A refused reload is tried again each time: a file that couldn't be read at the
    /// moment of its change, for lack of descriptors for instance, doesn't change once more when it can.
    func look(_ watch: inout FileWatch) async {
        let (files, known) = state.withLock { ($0.watchedFiles, $0.fingerprint) }
        let fingerprint = ConfigurationFingerprint(of: files)
        if watch.hasChanged(fingerprint, from: known) {
            // Noted even if the new files are wrong.
            state.withLock { $0.fingerprint = fingerprint }
            await reload(because: "a file changed")
        } else if refusal != nil, !watch.isSettling {
            await reload(because: "the last reload was refused", isRetry: true)
        }
    }

    /// Reads and applies. One reload at a time, in order: each sees the newest files.
    ///
    /// - Parameter isRetry: problems that were logged the last time aren't logged again
    @discardableResult
    package func reload(because reason: String, isRetry: Bool = false) async -> ReloadReport {
        let task = last.withLock { last in
            let before = last
            let task = Task {
                _ = await before?.value
                let report = await perform(because: reason)
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
            let lost = loaded.lost(since: state.withLock { $0 })
            guard lost.isEmpty else { throw ConfigurationError(problems: lost) }
        } catch {
            return ReloadReport(problems: error.problems.map { "\($0)" })
        }
        let diff = ConfigurationDiff(from: current, to: loaded.configuration)
        do {
            try target.certificates(diff.applied)
        } catch {
            return ReloadReport(problems: ["\(error)"])
        }
        let known = takeOver(loaded, with: diff.applied)
        for warning in loaded.warnings where !known.contains(warning) {
            logger.warning("configuration", metadata: ["problem": "\(warning)"])
        }
        await target.apply(diff.applied)
        for change in diff.needsRestart { logger.warning("takes a restart", metadata: ["change": "\(change)"]) }
        logger.notice(
            "configuration reloaded",
            metadata: ["reason": "\(reason)", "changes": "\(diff.reloadable.map { "\($0)" }.joined(separator: ", "))"])
        return ReloadReport(changed: diff.reloadable.map(\.key), needsRestart: diff.needsRestart.map(\.key))
    }

    /// Takes over what was read.
    ///
    /// - Returns: the warnings of what was in force before
    private func takeOver(_ loaded: LoadedConfiguration, with applied: GatewayConfiguration) -> [String] {
        state.withLock { state in
            let known = state.warnings
            state = loaded
            state.configuration = applied
            return known
        }
    }
}
