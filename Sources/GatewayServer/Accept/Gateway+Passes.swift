// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

/// Passes over the connections and sessions of all event loops, in slices.
extension Gateway {
    /// Calls `body` on every event loop at the same time, and returns the values that `body` passes to its completion.
    func gather<Value: Sendable>(
        _ body: @escaping @Sendable (GatewayShard, @escaping (Value) -> Void) -> Void
    ) async -> [Value] {
        let results = shards.map { bound in
            let promise = bound.eventLoop.makePromise(of: Value.self)
            bound.eventLoop.execute { body(bound.value) { promise.succeed($0) } }
            return promise.futureResult
        }
        var values: [Value] = []
        for result in results {
            if let value = try? await result.get() { values.append(value) }
        }
        return values
    }

    /// Visits every session, and returns one value for each event loop.
    ///
    /// - Parameters:
    ///   - initial: the value before the first session of an event loop
    ///   - visit: updates the value
    func visitSessions<Value: Sendable>(
        _ initial: Value, _ visit: @escaping @Sendable (inout Value, SessionDriver) -> Void
    ) async -> [Value] {
        await gather { (shard, completion: @escaping (Value) -> Void) in
            var value = initial
            let sessions = shard.sessions
            SlicedPass.run(over: Array(sessions.all), on: shard.loop.eventLoop) { driver in
                // The session may have ended or moved to another event loop since the pass began.
                if sessions[driver.session.id] === driver { visit(&value, driver) }
            } completion: {
                completion(value)
            }
        }
    }

    /// Visits every WebSocket connection, and returns one value for each event loop.
    func visitConnections<Value: Sendable>(
        _ initial: Value, _ visit: @escaping @Sendable (inout Value, Connection, GatewayShard) -> Void
    ) async -> [Value] {
        await gather { (shard, completion: @escaping (Value) -> Void) in
            var value = initial
            SlicedPass.run(over: shard.connections.all, on: shard.loop.eventLoop) { connection in
                if connection.isUpgraded, connection.phase == .webSocket { visit(&value, connection, shard) }
            } completion: {
                completion(value)
            }
        }
    }
}
