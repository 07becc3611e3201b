/// What a session holds in memory, in bytes by part. The parts are what `status` shows, under the names given here.
package struct Ledger: Sendable {
    /// Buffers of the connection: the edge reports them after every read and write.
    package struct Connection: Sendable {
        package var receiveBuffer = 0
        package var assembler = 0
        package var deflate = 0
        package var socketQueue = 0

        package init() {}
    }

    package var connection = Connection()
    package var outbox = 0
    package var history = 0
    package var duplicateIDs = 0
    package var upstreamQueue = 0
    package var requests = 0
    /// Collected audio and answers that wait, as the edge reports them.
    package var upstreamAnswers = 0
    /// The session's own record.
    package static let base = 1024

    package init() {}

    package var total: Int {
        Self.base + connection.receiveBuffer + connection.assembler + connection.deflate + connection.socketQueue + outbox + history
            + duplicateIDs + upstreamQueue + upstreamAnswers + requests
    }
}
