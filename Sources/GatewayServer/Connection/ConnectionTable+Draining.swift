// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

extension ConnectionTable {
    /// A drain of the connections of one event loop.
    struct Drain {
        /// When the grace period ends, and the first connection is closed.
        let graceEnd: Instant
        /// Whether connections that aren't WebSockets are aborted at the end of the grace period.
        var cutsRequests: Bool
    }

    /// Begins to drain: each connection gets `goaway` and is closed at its own time. Connections that aren't WebSockets yet get `goaway` as
    /// soon as they are. A second call only adds `cutsRequests`.
    ///
    /// - Parameters:
    ///   - times: the times for the WebSockets of this event loop; if there are too few, the rest gets `goaway` at once
    ///   - cutsRequests: whether connections that aren't WebSockets are aborted at the end of the grace period
    package func drain(_ schedule: DrainSchedule, times: [DrainSchedule.Times], cutsRequests: Bool, now: Instant) {
        guard drain == nil else {
            if cutsRequests { drain?.cutsRequests = true }
            return
        }
        drain = Drain(graceEnd: now + schedule.grace, cutsRequests: cutsRequests)
        for (connection, times) in zip(all.lazy.filter { $0.socket != nil }, times) {
            connection.drain = Connection.Drain(goAwayAt: now + times.goAway, closeAt: now + times.close)
        }
        tickDrain(now: now)
    }

    /// Sends `goaway` and closes where the time has come. Called with every tick.
    func tickDrain(now: Instant) {
        guard let drain else { return }
        for connection in all {
            guard let socket = connection.socket else {
                if drain.cutsRequests, now >= drain.graceEnd {
                    connection.ended(reason: "draining")
                    connection.abort()
                }
                continue
            }
            var times = connection.drain ?? Connection.Drain(goAwayAt: now, closeAt: max(now, drain.graceEnd))
            let announces = !times.isAnnounced && now >= times.goAwayAt
            let closes = !times.isClosed && now >= times.closeAt
            if announces { times.isAnnounced = true }
            if closes { times.isClosed = true }
            connection.drain = times
            if announces {
                socket.goAway(reason: "draining", deadlineMilliseconds: max(.zero, drain.graceEnd - now).milliseconds)
            }
            if closes { socket.close(Closing(code: .restart, reason: "draining")) }
        }
    }

    /// The number of connections that are WebSockets.
    package var webSockets: Int { all.count { $0.socket != nil } }

    package func abortWebSockets() {
        for connection in all where connection.socket != nil { connection.abort() }
    }
}

extension Connection {
    /// The drain of one connection.
    struct Drain {
        let goAwayAt: Instant
        let closeAt: Instant
        var isAnnounced = false
        var isClosed = false
    }
}
