// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GatewayCore
import Logging
import Synchronization

/// A row of a list of live sessions, without what operators have noted about the session.
struct SessionRow: Sendable {
    /// The position in the list.
    var rank: SessionRank
    var summary: SessionSummary
}

/// Live sessions of several nodes, in the order of a list.
struct SessionRows: Sendable {
    var rows: [SessionRow] = []
    /// The names of the nodes that didn't respond.
    var missingNodes: [String] = []

    /// Adds the rows of another node. A session that is moving between nodes may be on both.
    mutating func add(_ other: SessionRows) {
        rows += other.rows
        missingNodes += other.missingNodes
    }

    /// Sorts the rows, and removes all but the first ones.
    mutating func sort(limit: Int) {
        rows.sort { $0.rank < $1.rank }
        var known: Set<ULID> = []
        rows.removeAll { !known.insert($0.rank.id).inserted }
        rows = Array(rows.prefix(limit))
        missingNodes.sort()
    }
}

/// The live sessions of all nodes of a cluster, for lists.
package struct ClusterSessionDirectory: Sendable {
    private let local: any SessionDirectory
    private let cluster: SessionCluster

    /// How long a list waits for a node.
    private static let timeout = Duration.seconds(2)

    package init(local: any SessionDirectory, cluster: SessionCluster) {
        self.local = local
        self.cluster = cluster
        cluster.handle(.sessions) { [local] message in
            guard let query = (try? SessionListRequest(record: message)).flatMap({ SessionQuery($0) }) else { return [] }
            let rows = await local.rows(query).compactMap { row -> SessionListReply.Row? in
                guard let json = try? SortedJSON.encode(row.summary) else { return nil }
                return SessionListReply.Row(rank: .init(figure: row.rank.figure, id: row.rank.id), summary: Array(json))
            }
            return SessionListReply(rows: rows).record
        }
    }

    /// The name of this node.
    package var name: String { cluster.directory.record.name }

    /// Returns the first sessions of a list.
    ///
    /// - Parameter node: the only node with sessions in the list; nil for all
    func sessions(_ query: SessionQuery, on node: String?) async -> SessionRows {
        let others = cluster.directory.others.filter { node == nil || node == $0.name }
        return await withTaskGroup(of: SessionRows.self) { [name] group in
            if node == nil || node == name {
                group.addTask { [local] in
                    SessionRows(
                        rows: await local.rows(query).map { row in
                            var row = row
                            row.summary.node = name
                            return row
                        })
                }
            }
            for other in others { group.addTask { [self] in await sessions(query, of: other) } }
            var found = SessionRows()
            for await part in group { found.add(part) }
            found.sort(limit: query.limit)
            return found
        }
    }

    private func sessions(_ query: SessionQuery, of node: NodeRecord) async -> SessionRows {
        cluster.counters.requests.add(1, ordering: .relaxed)
        do {
            guard let address = SocketEndpoint(node.address) else { throw NodeLinkError.unreachable("invalid address") }
            let record = try await withDeadline(Self.timeout) { [cluster] in
                try await cluster.links.request(
                    SessionListRequest(query).record, kind: NodeRequestKind.sessions.rawValue, to: node.id, at: address,
                    timeout: Self.timeout)
            }
            let decoder = JSONDecoder()
            return SessionRows(
                rows: try SessionListReply(record: record).rows.map { row in
                    var summary = try decoder.decode(SessionSummary.self, from: Data(row.summary))
                    summary.node = node.name
                    return SessionRow(rank: SessionRank(figure: row.rank.figure, id: row.rank.id), summary: summary)
                })
        } catch {
            cluster.counters.failures.add(1, ordering: .relaxed)
            cluster.logger.info("a node didn't respond to a list", metadata: ["node": "\(node.id)", "error": "\(error)"])
            return SessionRows(missingNodes: [node.name])
        }
    }
}

/// Performs `body` within a time; the connection to a node that doesn't respond may take longer to fail.
func withDeadline<Value: Sendable>(
    _ time: Duration, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, any Error>, Never>) in
        let once = Once(continuation)
        Task {
            do { once.resume(.success(try await body())) } catch { once.resume(.failure(error)) }
        }
        // Ends after the given time.
        Task {
            try? await Task.sleep(for: time)
            once.resume(.failure(NodeLinkError.timeout))
        }
    }
    return try result.get()
}

/// A continuation that the first of several tasks resumes.
private final class Once<Value: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<Result<Value, any Error>, Never>?>

    init(_ continuation: CheckedContinuation<Result<Value, any Error>, Never>) { self.continuation = Mutex(continuation) }

    func resume(_ result: Result<Value, any Error>) { continuation.withLock { $0.take() }?.resume(returning: result) }
}

extension SessionDirectory {
    /// Returns the first sessions of a list on this node.
    func rows(_ query: SessionQuery) async -> [SessionRow] {
        await sessions(query).map { SessionRow(rank: $0.rank, summary: SessionSummary($0, nil)) }
    }
}

extension SessionListRequest {
    fileprivate init(_ query: SessionQuery) {
        self.init(
            sort: query.sort?.rawValue, after: query.after.map { Rank(figure: $0.figure, id: $0.id) }, limit: query.limit,
            attached: query.attached, user: query.user)
    }
}

extension SessionQuery {
    /// Creates the query of another node; nil if this version doesn't know its order.
    fileprivate init?(_ request: SessionListRequest) {
        var sort: SessionSort?
        if let name = request.sort {
            guard let known = SessionSort(rawValue: name) else { return nil }
            sort = known
        }
        self.init(
            sort: sort, after: request.after.map { SessionRank(figure: $0.figure, id: $0.id) }, limit: request.limit,
            attached: request.attached, user: request.user)
    }
}
