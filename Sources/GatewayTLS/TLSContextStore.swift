import Synchronization

/// The context that new connections begin with, which a reload replaces while old connections go on with theirs.
package final class TLSContextStore: Sendable {
    private let ticketKeys: TLSTicketKeys
    private let state: Mutex<TLSContext>

    /// - Throws: everything that is wrong with the files.
    package init(_ settings: TLSSettings, ticketKeys: TLSTicketKeys, now: Int64) throws(TLSConfigurationError) {
        self.ticketKeys = ticketKeys
        self.state = Mutex(try TLSContext(settings, ticketKeys: ticketKeys, now: now))
    }

    /// Asked once an accepted connection.
    package var current: TLSContext {
        state.withLock { $0 }
    }

    /// Reads the files again, and `settings`, which may name others. On an error the context stays what it is. Blocks for the reading of a few
    /// files: not for an event loop.
    ///
    /// - Returns: what is worth a warning.
    @discardableResult
    package func reload(_ settings: TLSSettings, now: Int64) throws(TLSConfigurationError) -> [TLSWarning] {
        let context = try TLSContext(settings, ticketKeys: ticketKeys, now: now)
        state.withLock { $0 = context }
        return context.warnings
    }
}
