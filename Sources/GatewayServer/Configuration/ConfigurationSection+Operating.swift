// SPDX-License-Identifier: Apache-2.0

package import Logging

extension ConfigurationSection {
    /// `store.*`: the store of acknowledged messages.
    package struct Store: Sendable, Equatable {
        package var kind = StoreKind.sqlite
        /// File of the embedded store.
        package var path = "var/parley.sqlite"
        /// How far a write is synced to disk before it is acknowledged.
        package var synchronous = StoreSynchronous.full
        /// Maximum bytes of the store; 0: no limit.
        package var maxBytes = 8 << 30
        /// The servers of the shared store. Not empty if `kind` is `redis`.
        package var urls: [StoreURL] = []
        /// Beginning of every key in the shared store.
        package var prefix = "parley:"
        /// User of the shared store; empty for that of the URL.
        package var user = ""
        /// File with the password of the shared store.
        package var passwordFile: String?
        /// The events that an acknowledged message in the shared store survives.
        package var acknowledge = StoreDurability.memory
        /// Number of replicas that a commit waits for, if `acknowledge` is `replicas`.
        package var replicas = 1
        package var acknowledgeTimeout = Duration.seconds(1)
        /// `store.tls.ca`: PEM file of trusted CAs; nil for the system's.
        package var authority: String?
        /// `store.tls.certificate`: client certificate with its key.
        package var certificate: CertificateFiles?
    }

    /// `reports.*`: reports of ended sessions.
    package struct Reports: Sendable, Equatable {
        /// How long reports are kept.
        package var keep = Duration.seconds(30 * 24 * 3600)
        /// Whether reports contain texts and transcripts.
        package var content = ReportContent.full
    }

    /// `operations.*`: the second listener.
    package struct Operations: Sendable, Equatable {
        /// The address for health, metrics and operations. Port 0: the system chooses a free port.
        package var address = SocketEndpoint(host: "127.0.0.1", port: 9464)
        /// Bearer token of everything except health. Never nil in production, nor if `address` isn't loopback. A secret.
        package var token: String?
        /// `operations.tls.certificates`: chains with their keys. Empty: plain HTTP.
        package var certificates: [CertificateFiles] = []
        /// `operations.tokens`: further tokens by name, with the rights that each one grants.
        package var tokens: [String: Token] = [:]

        package struct Token: Sendable, Equatable {
            /// Nil when the secret is missing, which is a problem. A secret.
            package var secret: String?
            package var rights: [OperationsRight] = []
        }

        /// All tokens of the listener.
        package var allTokens: [OperationsToken] {
            [token.map { OperationsToken($0) }].compactMap(\.self)
                + tokens.sorted { $0.key < $1.key }.compactMap { name, token in
                    token.secret.map { OperationsToken($0, identity: OperationsIdentity(name: name, rights: Set(token.rights))) }
                }
        }
    }

    /// `logging.*`: log lines on standard output.
    package struct Logging: Sendable, Equatable {
        /// The least severe level that is written.
        package var level = Logger.Level.info
        /// The format of a line.
        package var format = LogFormat.json
    }

    /// `shutdown.*`.
    package struct Shutdown: Sendable, Equatable {
        /// Maximum time from SIGTERM to exit.
        package var drain = Duration.seconds(30)
    }

    /// `demo.*`.
    package struct Demo: Sendable, Equatable {
        /// Serves the demo page at `/`.
        package var enabled = false
    }

    /// `conformance.*`: settings that only protocol conformance suites need; rejected in production.
    package struct Conformance: Sendable, Equatable {
        /// Adds `/echo`, which returns messages unparsed.
        package var echo = false
    }
}

/// `store.kind`.
package enum StoreKind: String, Sendable, CaseIterable {
    case memory, sqlite, redis
}

/// `store.synchronous`, as SQLite's pragma: `full` survives a power failure, `normal` a crash of the process, `off` possibly neither.
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
