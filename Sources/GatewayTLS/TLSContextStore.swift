// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The TLS context of new connections. A reload replaces it; existing connections keep theirs.
package final class TLSContextStore: Sendable {
    private let ticketKeys: TLSTicketKeys
    private let state: Mutex<TLSContext>

    /// - Throws: all problems of all files.
    package init(_ settings: TLSSettings, ticketKeys: TLSTicketKeys, now: Int64) throws(TLSConfigurationError) {
        self.ticketKeys = ticketKeys
        self.state = Mutex(try TLSContext(settings, ticketKeys: ticketKeys, now: now))
    }

    /// The current context, read once per accepted connection.
    package var current: TLSContext {
        state.withLock { $0 }
    }

    /// Reads the files of `settings` and replaces the context. On an error the current context stays. Blocks while reading files: must not
    /// be called on an event loop.
    ///
    /// - Returns: the warnings about the new certificates.
    @discardableResult
    package func reload(_ settings: TLSSettings, now: Int64) throws(TLSConfigurationError) -> [TLSWarning] {
        let context = try TLSContext(settings, ticketKeys: ticketKeys, now: now)
        state.withLock { $0 = context }
        return context.warnings
    }
}
