// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import GatewayServer
import GatewayTLS
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import UnixSignals

/// Assembles the gateway from its parts; the only place that names every concrete type.
enum Assembly {
    /// `EX_CONFIG` of sysexits.h.
    static let configurationError: Int32 = 78
    /// `EX_TEMPFAIL` of sysexits.h: a restart may succeed.
    static let temporaryFailure: Int32 = 75
    /// The directory of the development certificate.
    static let stateDirectory = "var"

    /// Runs the gateway until SIGTERM or SIGINT, and returns the exit status.
    static func serve(flags: [String], environment: [String: String]) async -> Int32 {
        // Ignored until reloading is set up: the default action would end the process.
        signal(SIGHUP, SIG_IGN)
        // With SIGXFSZ ignored, a write beyond RLIMIT_FSIZE fails with EFBIG, and is handled like a full disk.
        signal(SIGXFSZ, SIG_IGN)
        let loaded: LoadedConfiguration
        do throws(ConfigurationError) {
            loaded = try ConfigurationLoader.load(arguments: flags, environment: environment)
        } catch {
            // The log's format isn't known yet, so the problems are printed as plain text.
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            return configurationError
        }
        let configuration = loaded.configuration
        let logs = Logs.bootstrap(format: configuration.logging.format, level: configuration.logging.level)
        let logger = Logger(label: "parley")
        defer { logs.close(within: .seconds(1)) }
        do {
            try await run(loaded, flags: flags, environment: environment, logs: logs, logger: logger)
            return 0
        } catch let error as StoreError {
            logger.critical("the store can't be used", metadata: ["error": "\(error)"])
            return error.isTemporary ? temporaryFailure : configurationError
        } catch let error as TLSConfigurationError {
            logger.critical("the certificates can't be used", metadata: ["error": "\(error)"])
            return configurationError
        } catch let fault as AuditFault {
            logger.critical("the audit file can't be used", metadata: ["error": "\(fault)"])
            return configurationError
        } catch let fault as TokenKeys.Fault {
            logger.critical("the keys of tokens can't be used", metadata: ["error": "\(fault)"])
            return configurationError
        } catch let fault as InheritedSockets.Fault {
            logger.critical("the sockets of the service manager can't be used", metadata: ["error": "\(fault)"])
            return configurationError
        } catch let failure as ListenerFailure {
            logger.critical(
                "the gateway can't run",
                metadata: ["listener": "\(failure.key)", "address": "\(failure.address)", "error": "\(failure.reason)"])
            return 1
        } catch {
            logger.critical("the gateway can't run", metadata: ["error": "\(error)"])
            return 1
        }
    }

    private static func run(
        _ loaded: LoadedConfiguration, flags: [String], environment: [String: String], logs: Logs, logger: Logger
    ) async throws {
        // Trapped before the first log line, because a supervisor may send SIGTERM as soon as it sees one.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let configuration = loaded.configuration
        let sockets = try inheritedSockets(environment, configuration, logger: logger)
        let started = LoopClock.wallMilliseconds()
        let group = MultiThreadedEventLoopGroup(
            numberOfThreads: configuration.listen.loops == 0 ? System.coreCount : configuration.listen.loops)

        let loops = group.makeIterator().reduce(0) { count, _ in count + 1 }
        announce(loaded, loops: loops, logger: logger)

        let health = HealthRegistry()
        let ticketKeys = TLSTicketKeys(rotation: .nanoseconds(configuration.tls.ticketRotation.clampedNanoseconds))
        let tls = try TLSContextStore(settings(configuration), ticketKeys: ticketKeys, now: started / 1000)
        warn(tls.current.warnings, logger: logger)
        health.set(.certificates, .ready)
        let operationsTLS = try OperationsCertificates(configuration, now: started / 1000)
        warn(operationsTLS.warnings, logger: logger)
        let store = try await openStore(configuration, health: health, group: group)
        let archive: any ReportArchive = store ?? MemoryArchive()
        let (tracer, exporter) = tracing(configuration)
        let upstreams = try UpstreamRegistry(configuration, group: group, tracer: tracer, logger: Logger(label: "parley.upstream"))
        let access = try ClientAccess(
            configuration, health: health, logger: Logger(label: "parley.access"), shared: store as? any SharedStore,
            generated: try await storedKey(configuration, in: store)
        ) { change in
            var batch = StoreBatch()
            batch.add(change)
            store?.submit(batch, committed: {})
        }
        let audit = try openAuditLog(configuration, health: health)
        defer { audit?.close(within: .seconds(1)) }
        let shared = SharedGateway(
            connectionLimits: ConnectionLimits(policy: ConnectionLimits.Policy(configuration)),
            sessions: SessionRegistry(limits: SessionRegistry.Limits(configuration)), health: health, upstream: upstreams,
            access: access.control, store: store, archive: archive, audit: audit,
            tracer: tracer)
        let cluster = try await joinCluster(
            configuration, store: store, shared: shared, tokens: access.tokens, health: health, group: group)
        let operationsBound = Latch()
        let gateway = try await Gateway(
            configuration: configuration, tls: tls, shared: shared, group: group, logger: Logger(label: "parley.listener"),
            inherited: sockets, beforeReady: { await operationsBound.wait() })
        let found = try await gateway.restore { access.restore($0) }
        if found != (0, 0) {
            logger.notice(
                "sessions restored",
                metadata: ["count": .stringConvertible(found.restored), "given_up": .stringConvertible(found.discarded)])
        }
        let notifier = serviceNotifier(environment, gateway: gateway, shared: shared)
        let logLevel = LogLevelControl(configured: configuration.logging.level, eventLoop: group.next()) { logs.setLevel($0) }
        var target = reloadTarget(
            tls: tls, operationsTLS: operationsTLS, access: access, upstreams: upstreams, gateway: gateway, logLevel: logLevel,
            logger: logger)
        target.began = { notifier.reloadBegan() }
        target.ended = { notifier.reloadEnded() }
        if let audit { target.reported = { audit.configurationReloaded(because: $0, $1) } }
        let configurationService = ConfigurationService(
            loaded: loaded, target: target,
            logger: Logger(label: "parley.configuration"),
            load: { () throws(ConfigurationError) in try ConfigurationLoader.load(arguments: flags, environment: environment) })
        registerHealthChecks(
            health, tls: tls, configurationService: configurationService, descriptors: shared.descriptors, loops: loops, logger: logger)
        let reports = ReportCache()
        let ledger = shared.usage.ledger ?? UsageLedger()
        let usage: any UsageArchive = store ?? ledger
        let figures = OperatorFigures(
            gateway: gateway, shared: shared, configuration: { configurationService.current }, logs: logs, logLevel: logLevel,
            certificates: { [("tls.certificates", tls.current), ("operations.tls.certificates", operationsTLS.current)] }, started: started)
        let sessions = SessionOperations(
            live: gateway, cluster: cluster.map { ClusterSessionDirectory(local: gateway, cluster: $0) }, archive: archive, cache: reports,
            depth: { ReportDepth(configurationService.current.reports.content) },
            logger: Logger(label: "parley.operations"))
        let requests = cluster.map { OperatorRequests(cluster: $0, group: group) }
        let operations = OperationsServer(
            address: configuration.operations.address, inherited: sockets[.operations],
            requiresToken: configuration.environment == .production, tls: { operationsTLS.current },
            tokens: { configurationService.current.operations.allTokens }, health: health,
            snapshot: {
                await snapshot(
                    gateway, configurationService.current, shared: shared, reports: reports, logs: logs, started: started)
            },
            sessions: sessions, usage: usage,
            reload: { await configurationService.reload(because: "operations API") }, drain: { await gateway.beginDrain() },
            configuration: { try configurationService.json() }, resetUpstream: { upstreams.reset($0) },
            access: access.operations(cluster?.access),
            features: figures.features + pushFeatures(gateway, requests: requests, cluster: cluster, configurationService) + [
                metrics(gateway, shared: shared, tls: tls, logs: logs, started: started), .liveView(sessions: sessions, taps: gateway),
                .console, .audit(audit),
                .nodes(cluster, sessions: { shared.sessions.attached + shared.sessions.detached }, started: started),
            ], requests: requests, audit: audit, eventLoopGroup: group,
            onRunning: { _ in operationsBound.open() })

        // Services stop in reverse order, so the health endpoints respond until the end.
        try await run(
            [
                .init(service: notifier), .init(service: operations), .init(service: figures.sampler), .init(service: exporter),
                .init(service: upstreams),
                .init(service: access.keySets),
            ] + services(of: cluster) + [
                // The default would cancel the group, and the operations listener would log a second error that hides the cause.
                .init(service: gateway, failureTerminationBehavior: .gracefullyShutdownGroup), .init(service: configurationService),
            ], until: signals, logs: logs, onStop: { notifier.stopping() })
        await leave(cluster)
        await store?.close()
        // The event loops aren't shut down: the operations listener's library may still schedule its own shutdown on them.
        logger.notice("stopped")
    }

    /// Logs the first line, before any step of the startup that can fail.
    private static func announce(_ loaded: LoadedConfiguration, loops: Int, logger: Logger) {
        logger.notice(
            "starting",
            metadata: [
                "version": "\(Version.number)", "commit": "\(Version.commit)",
                "environment": "\(loaded.configuration.environment.rawValue)", "files": "\(loaded.filesRead)",
                "loops": .stringConvertible(loops),
            ])
        for warning in loaded.warnings { logger.warning("configuration", metadata: ["problem": "\(warning)"]) }
    }

    /// Returns the target of a reload: the parts of the gateway that a new configuration is applied to.
    private static func reloadTarget(
        tls: TLSContextStore, operationsTLS: OperationsCertificates, access: ClientAccess, upstreams: UpstreamRegistry, gateway: Gateway,
        logLevel: LogLevelControl, logger: Logger
    ) -> ConfigurationService.Target {
        ConfigurationService.Target(
            certificates: { configuration in
                // Checked before anything is applied.
                _ = try TokenKeys(TokenSettings(configuration))
                warn(try tls.reload(settings(configuration), now: LoopClock.wallMilliseconds() / 1000), logger: logger)
                warn(try operationsTLS.reload(configuration, now: LoopClock.wallMilliseconds() / 1000), logger: logger)
                // Upstreams have certificate files, too.
                try upstreams.apply(configuration)
                try access.apply(configuration)
            },
            apply: { configuration in
                logLevel.configure(configuration.logging.level)
                await gateway.apply(configuration)
            })
    }

    /// Runs the services until a signal stops them or one fails.
    private static func run(
        _ services: [ServiceGroupConfiguration.ServiceConfiguration], until signals: UnixSignalsSequence, logs: Logs,
        onStop: @escaping @Sendable () -> Void
    ) async throws {
        let services = ServiceGroup(configuration: .init(services: services, logger: lifecycleLogger))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await services.run() }
            tasks.addTask { await stop(services, on: signals, logs: logs, onStop: onStop) }
            try await tasks.next()
            tasks.cancelAll()
        }
    }

    /// Registers health checks whose failure degrades the gateway without making it unready.
    private static func registerHealthChecks(
        _ health: HealthRegistry, tls: TLSContextStore, configurationService: ConfigurationService, descriptors: DescriptorLimit,
        loops: Int, logger: Logger
    ) {
        health.set(.configuration, .ready)
        health.set(.descriptors, .ready)
        health.watch(.certificates) {
            let warnings = tls.current.warnings(now: LoopClock.wallMilliseconds() / 1000)
            return warnings.isEmpty ? nil : warnings.map(\.summary).joined(separator: "; ")
        }
        health.watch(.configuration) { configurationService.rejection }
        health.watch(.descriptors) {
            descriptors.shortage(configurationService.current, loops: loops, now: Instant(nanoseconds: LoopClock.monotonicNanoseconds()))
        }
        if let shortage = health.report.parts.first(where: { $0.part == .descriptors })?.reason {
            logger.warning("too few file descriptors", metadata: ["problem": "\(shortage)"])
        }
    }

    /// Drains on the first SIGTERM or SIGINT; exits at once on the second.
    private static func stop(
        _ services: ServiceGroup, on signals: UnixSignalsSequence, logs: Logs, onStop: @Sendable () -> Void
    ) async {
        var isDraining = false
        for await _ in signals {
            guard !isDraining else {
                logs.close(within: .milliseconds(200))
                exit(0)
            }
            isDraining = true
            onStop()
            await services.triggerGracefulShutdown()
        }
    }

    /// The logger of the service lifecycle, limited to warnings: its other lines are for debugging the library.
    private static var lifecycleLogger: Logger {
        var logger = Logger(label: "parley.lifecycle")
        logger.logLevel = .warning
        return logger
    }

    private static func settings(_ configuration: GatewayConfiguration) throws -> TLSSettings {
        var settings = TLSSettings(configuration)
        if settings.certificates.isEmpty, configuration.environment == .development {
            settings.certificates = [try DevelopmentCertificate.files(in: stateDirectory, now: LoopClock.wallMilliseconds() / 1000)]
        }
        return settings
    }

    private static func warn(_ warnings: [TLSWarning], logger: Logger) {
        for warning in warnings { logger.warning("certificate", metadata: ["problem": "\(warning)"]) }
    }

    private static func snapshot(
        _ gateway: Gateway, _ configuration: GatewayConfiguration, shared: SharedGateway, reports: ReportCache, logs: Logs, started: Int64
    ) async -> GatewaySnapshot {
        let counters = await gateway.counters()
        var snapshot = GatewaySnapshot(
            startedAt: started, uptimeMilliseconds: LoopClock.wallMilliseconds() - started,
            environment: configuration.environment.rawValue, version: Version.number, commit: Version.commit)
        snapshot.state = gateway.state
        snapshot.connections.open = shared.connectionLimits.webSockets
        snapshot.connections.accepted = counters.accepted
        snapshot.connections.rejected = counters.rejected
        snapshot.connections.missedPongs = counters.missedPongs
        snapshot.connections.max = configuration.connections.max
        snapshot.sessions.attached = shared.sessions.attached
        snapshot.sessions.detached = shared.sessions.detached
        snapshot.sessions.memoryBytes = counters.memoryBytes
        snapshot.messages.in = counters.messagesIn
        snapshot.messages.out = counters.messagesOut
        snapshot.bytes.in = counters.bytesIn
        snapshot.bytes.out = counters.bytesOut
        for (code, count) in counters.errors { snapshot.errors[code.rawValue] = count }
        for (code, count) in counters.closes { snapshot.closes["\(code)"] = count }
        snapshot.reports.cache = reports.statistics
        snapshot.upstreams = shared.upstream.statistics
        snapshot.log.written = logs.written
        snapshot.log.dropped = logs.dropped
        return snapshot
    }
}
