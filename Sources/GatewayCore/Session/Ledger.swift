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

    package func append(to bytes: inout [UInt8], budget: Int) {
        bytes.append("{\"total\":")
        bytes.append(decimal: total)
        bytes.append(",\"budget\":")
        bytes.append(decimal: budget)
        bytes.append(",\"base\":")
        bytes.append(decimal: Self.base)
        bytes.append(",\"receive_buffer\":")
        bytes.append(decimal: connection.receiveBuffer)
        bytes.append(",\"assembler\":")
        bytes.append(decimal: connection.assembler)
        bytes.append(",\"deflate\":")
        bytes.append(decimal: connection.deflate)
        bytes.append(",\"socket_queue\":")
        bytes.append(decimal: connection.socketQueue)
        bytes.append(",\"outbox\":")
        bytes.append(decimal: outbox)
        bytes.append(",\"history\":")
        bytes.append(decimal: history)
        bytes.append(",\"duplicate_ids\":")
        bytes.append(decimal: duplicateIDs)
        bytes.append(",\"upstream_queue\":")
        bytes.append(decimal: upstreamQueue)
        bytes.append(",\"upstream_answers\":")
        bytes.append(decimal: upstreamAnswers)
        bytes.append(",\"requests\":")
        bytes.append(decimal: requests)
        bytes.append(UInt8(ascii: "}"))
    }
}
