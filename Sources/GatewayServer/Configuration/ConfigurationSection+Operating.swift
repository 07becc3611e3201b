package import Logging

extension ConfigurationSection {
    /// `store.*`: where acknowledged messages are kept.
    package struct Store: Sendable, Equatable {
        /// `redis` isn't built so far.
        package var kind = StoreKind.sqlite
        /// File of the embedded store.
        package var path = "var/parley.sqlite"
        /// How hard a write is pushed to the disk before it is acknowledged.
        package var synchronous = StoreSynchronous.full
        /// Bytes of the store; 0: off.
        package var maxBytes = 8 << 30
    }

    /// `reports.*`: reports of ended sessions.
    package struct Reports: Sendable, Equatable {
        /// A report is deleted after so long.
        package var keep = Duration.seconds(30 * 24 * 3600)
        /// Whether a report holds what was said.
        package var content = ReportContent.full
    }

    /// `operations.*`: the second listener, plain HTTP.
    package struct Operations: Sendable, Equatable {
        /// Where health, metrics and operations answer. Port 0 lets the system choose one.
        package var address = SocketEndpoint(host: "127.0.0.1", port: 9464)
        /// Bearer token of everything but health. Never nil in production, nor when `address` isn't loopback. A secret.
        package var token: String?
    }

    /// `logging.*`: log lines on standard output.
    package struct Logging: Sendable, Equatable {
        /// The least severe level that is written.
        package var level = Logger.Level.info
        /// How a line looks.
        package var format = LogFormat.json
    }

    /// `shutdown.*`.
    package struct Shutdown: Sendable, Equatable {
        /// From SIGTERM to exit, at most.
        package var drain = Duration.seconds(30)
    }

    /// `auth.*`: who may connect.
    package struct Authentication: Sendable, Equatable {
        /// Only `none` is built so far, and production refuses it.
        package var mode = AuthenticationMode.none
    }

    /// `conformance.*`: what only protocol conformance suites need; refused in production.
    package struct Conformance: Sendable, Equatable {
        /// Adds `/echo`, which returns messages unread.
        package var echo = false
    }
}

/// `store.kind`.
package enum StoreKind: String, Sendable, CaseIterable {
    case memory, sqlite, redis
}

/// `store.synchronous`, as SQLite's pragma has it: `full` survives a power cut, `normal` a crash of the process, `off` neither for sure.
package enum StoreSynchronous: String, Sendable, CaseIterable {
    case full, normal, off
}

/// `reports.content`.
package enum ReportContent: String, Sendable, CaseIterable {
    case full, metadata
}

/// `logging.format`.
package enum LogFormat: String, Sendable, CaseIterable {
    case json, console
}

/// `auth.mode`.
package enum AuthenticationMode: String, Sendable, CaseIterable {
    case none, jwt
}
