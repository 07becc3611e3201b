// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// The settings of a ``RedisClient`` or ``RedisSubscriber``.
package struct RedisSettings: Sendable, Hashable {
    /// How the master is found.
    package enum Mode: Sendable, Hashable {
        /// The first endpoint that is a master.
        case single
        /// The endpoints are Sentinels, which know the address of the master with this name.
        case sentinel(master: String)
        /// The endpoints are some of the nodes of a cluster, each of which knows the masters of all slots.
        case cluster
    }

    package var mode = Mode.single
    /// At least one.
    package var endpoints: [RedisEndpoint]
    /// nil for the user `default`.
    package var user: String?
    /// nil for servers that don't require one.
    package var password: RedisPassword?
    /// The number of the database; must be 0 in a cluster.
    package var database = 0
    package var sentinelUser: String?
    package var sentinelPassword: RedisPassword?
    /// nil for plaintext.
    package var tls: RedisTLS?

    /// The limit on the time until a connection is ready, including TLS and authentication.
    package var connectTimeout = TimeAmount.seconds(2)
    /// The limit on the time in which the server doesn't reply while commands wait for replies.
    package var commandTimeout = TimeAmount.seconds(2)
    /// The interval of `PING` on a connection without other commands.
    package var pingInterval = TimeAmount.seconds(5)
    /// The limits on commands that have no reply yet, and on their bytes.
    package var maxQueuedCommands = 100_000
    package var maxQueuedBytes = 64 * 1024 * 1024
    package var replyLimits = RedisParser.Limits()
    /// The scripts that are loaded into a server after each connect.
    package var scripts: [RedisScript] = []

    package init(mode: Mode = .single, endpoints: [RedisEndpoint]) {
        self.mode = mode
        self.endpoints = endpoints
    }

    /// Combines URLs that name the endpoints of the same servers.
    ///
    /// - Parameters:
    ///   - tls: used if the URLs begin with `rediss`
    ///   - user: instead of the URLs' user
    ///   - password: instead of the URLs' password, for example from a file
    package init(urls: [RedisURL], tls: RedisTLS = RedisTLS(), user: String? = nil, password: RedisPassword? = nil) throws(RedisURLFault) {
        guard let first = urls.first else { throw .noURL }
        guard urls.allSatisfy({ $0.mode == first.mode && $0.isSecure == first.isSecure }) else { throw .differentSchemes }
        guard urls.allSatisfy({ $0.database == first.database }) else { throw .differentDatabases }
        let isSameUser = urls.allSatisfy {
            $0.user == first.user && $0.password == first.password && $0.sentinelUser == first.sentinelUser
                && $0.sentinelPassword == first.sentinelPassword
        }
        guard isSameUser else { throw .differentUsers }
        self.init(mode: first.mode, endpoints: [])
        for endpoint in urls.flatMap(\.endpoints) where !endpoints.contains(endpoint) { endpoints.append(endpoint) }
        database = first.database
        self.user = user ?? first.user
        self.password = password ?? first.password
        sentinelUser = first.sentinelUser
        sentinelPassword = first.sentinelPassword
        self.tls = first.isSecure ? tls : nil
    }
}
