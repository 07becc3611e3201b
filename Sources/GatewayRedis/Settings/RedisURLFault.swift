// SPDX-License-Identifier: Apache-2.0

/// The reason why a text isn't a ``RedisURL``, or several URLs don't go together. The descriptions are messages for users, and contain no
/// part of the URL, which may be a password.
package enum RedisURLFault: Error, Sendable, Hashable, CaseIterable {
    case characters, scheme, fragment, userInformation, host, severalHosts, tooManyHosts, port, database, clusterDatabase, masterName,
        parameter
    case noURL, differentSchemes, differentUsers, differentDatabases
}

extension RedisURLFault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .characters: "a URL may contain only printable ASCII characters; percent-encode others"
        case .scheme: "the URL must begin with redis://, rediss://, redis[s]+sentinel:// or redis[s]+cluster://"
        case .fragment: "the URL can't have a fragment; write # in a password as %23"
        case .userInformation: "user or password are malformed; percent-encode characters such as / ? % @ :"
        case .host: "the URL's host is malformed"
        case .severalHosts: "several hosts need redis+sentinel:// or redis+cluster://"
        case .tooManyHosts: "the URL has more than \(RedisURL.maxEndpoints) hosts"
        case .port: "the URL's port must be 1–65535"
        case .database: "the path must be the number of a database"
        case .clusterDatabase: "a cluster has only database 0"
        case .masterName: "the path must be the name of the master, as in redis+sentinel://host:26379/name"
        case .parameter: "only sentinel_user and sentinel_password of a redis+sentinel:// URL are supported as parameters"
        case .noURL: "at least one URL is required"
        case .differentSchemes: "all URLs must have the same scheme, and with Sentinel the same master"
        case .differentUsers: "all URLs must have the same user and password"
        case .differentDatabases: "all URLs must have the same database"
        }
    }
}
