// SPDX-License-Identifier: Apache-2.0

import GatewayCore
package import Logging
import NIOPosix
import ServiceLifecycle
import Synchronization

/// The service that keeps the keys of `auth.jwks_file` and `auth.jwks_url` up to date.
///
/// The file is read at startup and when it changes. The URL is fetched at startup, regularly, and at an unknown `kid`; the startup doesn't
/// wait. A set that can't be loaded or has no usable key changes nothing: the last good one stays in force.
package final class JWKSetSource: Service {
    /// Returns the set at a URL; `authority` is the value of `auth.jwks_ca`.
    package typealias Fetch = @Sendable (_ url: UpstreamURL, _ authority: String?) async throws(JWKSetError) -> [UInt8]

    /// Maximum callers that wait for the same fetch; further ones are answered at once.
    package static let maximumWaiting = 1000

    private let health: HealthRegistry
    private let logger: Logger
    private let timer: RefreshTimer
    private let random: @Sendable () -> Double
    private let fetch: Fetch
    private let onChange: @Sendable ([JWKSetKeys.Key]) -> Void
    private let state: Mutex<JWKSetState>
    /// Held while keys are reported, so that the newest keys are reported last.
    private let publishing = Mutex(())

    /// Reads the file, if one is configured, and reports its keys.
    ///
    /// - Parameters:
    ///   - random: returns 0 up to but not including 1, for the delay after failures
    ///   - onChange: called with the keys of both sets whenever one may have changed, also during `init`; must not call this object
    package init(
        _ settings: JWKSetSettings, health: HealthRegistry, logger: Logger,
        timer: RefreshTimer = .on(MultiThreadedEventLoopGroup.singleton.next()),
        random: @escaping @Sendable () -> Double = { .random(in: 0..<1) }, fetch: @escaping Fetch = JWKSetSource.fetchOverHTTPS,
        onChange: @escaping @Sendable ([JWKSetKeys.Key]) -> Void
    ) {
        self.health = health
        self.logger = logger
        self.timer = timer
        self.random = random
        self.fetch = fetch
        self.onChange = onChange
        var initial = JWKSetState(JWKSetSettings())
        _ = initial.apply(settings)
        state = Mutex(initial)
        readFile()
    }

    /// Fetches over a dedicated connection, within 10 s, at most 1 MiB.
    package static let fetchOverHTTPS: Fetch = { url, authority async throws(JWKSetError) in
        try await JWKSetFetch.fetch(url, authority: authority)
    }

    // MARK: Lifecycle

    package func run() async throws {
        start()
        await cancelWhenGracefulShutdown { [self] in
            var watch = FileWatch()
            while true {
                let pause = watch.isSettling ? ConfigurationService.settleInterval : ConfigurationService.pollInterval
                guard (try? await Task.sleep(for: pause)) != nil else { return }
                checkFile(&watch)
            }
        }
        stop()
    }

    /// Begins fetching.
    func start() {
        state.withLock { state in
            state.isRunning = true
            continueFetching(&state)
        }
    }

    /// Ends the fetch in progress, and answers the callers that wait for it.
    func stop() {
        let waiting = state.withLock { state in
            state.isRunning = false
            state.generation += 1
            state.cancelTimer?()
            state.fetch?.cancel()
            return state.takeWaiting()
        }
        for completion in waiting { completion(false) }
    }

    /// Applies a reloaded configuration, and reads the file again.
    ///
    /// The keys of a former file or URL stay in force until the new one has been read or fetched, successfully or not.
    package func apply(_ settings: JWKSetSettings) {
        let waiting = state.withLock { state in
            if state.apply(settings), state.isRunning { beginFetch(&state) }
            continueFetching(&state)
            return settings.url == nil ? state.takeWaiting() : []
        }
        for completion in waiting { completion(false) }
        readFile()
    }

    // MARK: Fetching

    /// Requests a fetch because no key has the `kid` or the algorithm of a token.
    ///
    /// - Parameter completion: called once, on any thread: when the fetch has ended and its keys are in force, or before this method
    ///   returns if there is nothing to wait for (the last fetch began less than `auth.jwks_minimum_interval` ago, no URL is configured, or
    ///   ``maximumWaiting`` callers wait). Its argument is whether a set was fetched, so that another verification may succeed.
    package func requestRefresh(_ completion: @escaping @Sendable (Bool) -> Void) {
        let isWaiting = state.withLock { state in
            guard state.isRunning, state.settings.url != nil, state.waiting.count < Self.maximumWaiting else { return false }
            switch state.schedule.demand(now: now) {
            case .tooSoon: return false
            case .join: break
            case .fetch: runFetch(&state)
            }
            state.waiting.append(completion)
            return true
        }
        if !isWaiting { completion(false) }
    }

    private var now: Instant { timer.now() }

    /// Begins a fetch if one is due, or else sets the timer for the next one.
    private func continueFetching(_ state: inout JWKSetState) {
        state.cancelTimer?()
        state.cancelTimer = nil
        guard state.isRunning, state.settings.url != nil, !state.schedule.isFetching else { return }
        if state.schedule.beginIfDue(now: now) { return runFetch(&state) }
        guard let due = state.schedule.due else { return }
        state.cancelTimer = timer.schedule(due) { [weak self] in
            guard let self else { return }
            self.state.withLock { self.continueFetching(&$0) }
        }
    }

    private func beginFetch(_ state: inout JWKSetState) {
        state.schedule.begin(now: now)
        runFetch(&state)
    }

    /// Runs the fetch that the schedule has begun.
    private func runFetch(_ state: inout JWKSetState) {
        state.cancelTimer?()
        state.cancelTimer = nil
        guard let url = state.settings.url else { return }
        let (authority, generation) = (state.settings.authority, state.generation)
        state.fetch = Task { [self] in
            let loaded: Result<LoadedJWKSet, JWKSetError>
            do throws(JWKSetError) {
                loaded = .success(try LoadedJWKSet(try await fetch(url, authority)))
            } catch {
                loaded = .failure(error)
            }
            end(loaded, of: url, generation: generation)
        }
    }

    private func end(_ loaded: Result<LoadedJWKSet, JWKSetError>, of url: UpstreamURL, generation: Int) {
        let succeeded = if case .success = loaded { true } else { false }
        let waiting: [@Sendable (Bool) -> Void]? = state.withLock { state in
            // Callers that still wait are answered by the fetch that has replaced this one.
            guard state.generation == generation else { return nil }
            state.fetch = nil
            state.schedule.end(succeeded: succeeded, now: now, random: random())
            let hasChanged = state.url.replace(with: loaded, from: url.description, name: url.nameWithoutQuery)
            log(loaded, of: &state.url, name: url.nameWithoutQuery, hasChanged: hasChanged)
            continueFetching(&state)
            return state.takeWaiting()
        }
        guard let waiting else { return }
        publish()
        for completion in waiting { completion(succeeded) }
    }

    // MARK: The file

    /// Reads the file if it has changed, and again if it couldn't be used.
    func checkFile(_ watch: inout FileWatch) {
        let (path, known, hasFault) = state.withLock { ($0.settings.file, $0.fingerprint, $0.file.fault != nil) }
        guard let path else { return }
        if watch.hasChanged(ConfigurationFingerprint(of: [path]), from: known) || hasFault && !watch.isSettling { readFile() }
    }

    /// Reads the file, and reports the keys of both sets.
    private func readFile() {
        defer { publish() }
        guard let path = state.withLock({ $0.settings.file }) else { return }
        let fingerprint = ConfigurationFingerprint(of: [path])
        let loaded: Result<LoadedJWKSet, JWKSetError>
        do throws(JWKSetError) { loaded = .success(try Self.read(path)) } catch { loaded = .failure(error) }
        state.withLock { state in
            guard state.settings.file == path else { return }
            state.fingerprint = fingerprint
            let hasChanged = state.file.replace(with: loaded, from: path, name: path)
            log(loaded, of: &state.file, name: path, hasChanged: hasChanged)
        }
    }

    private static func read(_ path: String) throws(JWKSetError) -> LoadedJWKSet {
        switch BoundedFile.read(path, limit: JWKSet.maximumBytes) {
        case .bytes(let bytes): try LoadedJWKSet(bytes)
        case .missing: throw .file("the file doesn't exist")
        case .unreadable(let reason): throw .file(reason)
        }
    }

    // MARK: Reporting

    private func publish() {
        publishing.withLock { _ in
            let (keys, part) = state.withLock { ($0.keys, $0.health) }
            onChange(keys)
            health.set(.tokenKeys, part)
        }
    }

    private func log(
        _ loaded: Result<LoadedJWKSet, JWKSetError>, of origin: inout JWKSetState.Origin, name: String, hasChanged: Bool
    ) {
        switch loaded {
        case .success(let set):
            origin.log = RepeatedFaultLog()
            guard hasChanged else { return }
            for key in set.keys.skipped {
                logger.log(
                    level: key.isUsual ? .info : .warning, "key of the JWK set skipped",
                    metadata: ["set": "\(name)", "key": .stringConvertible(key.number), "reason": "\(key.reason)"])
            }
            logger.notice(
                "JWK set loaded", metadata: ["set": "\(name)", "keys": .stringConvertible(set.keys.keys.count)])
        case .failure(let error):
            guard let suppressed = origin.log.admit("\(error)", now: now) else { return }
            var metadata: Logger.Metadata = [
                "set": "\(name)", "error": "\(error)", "keys_in_force": .stringConvertible(origin.keys.count),
            ]
            if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
            logger.warning("JWK set not loaded", metadata: metadata)
        }
    }
}
