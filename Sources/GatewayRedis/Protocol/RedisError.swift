// SPDX-License-Identifier: Apache-2.0

/// An error that the server replied to one command.
package struct RedisError: Error, Sendable, Hashable {
    /// The first word, for example `NOSCRIPT`, `MOVED`, `READONLY`, `OOM`.
    package var code: String
    /// The rest of the line.
    package var text: String

    package init(code: String, text: String) {
        self.code = code
        self.text = text
    }

    /// Whether the same command can succeed later without a change of the command.
    package var isTemporary: Bool {
        switch code {
        case "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN", "UNBLOCKED": true
        // `CLUSTER SLOTS` may be older than a failover or a migration of slots.
        case "ASK", "MOVED": true
        default: false
        }
    }

    /// Whether the server isn't, or isn't any more, the master that commands must be sent to.
    package var requiresRediscovery: Bool {
        switch code {
        case "MASTERDOWN", "READONLY", "UNBLOCKED": true
        default: false
        }
    }

    /// Whether the user or password is wrong or missing, or the user may not run the command.
    package var isAuthorization: Bool {
        switch code {
        case "NOAUTH", "NOPERM", "WRONGPASS": true
        default: false
        }
    }
}

extension RedisError: CustomStringConvertible {
    package var description: String { text.isEmpty ? code : "\(code) \(text)" }
}
