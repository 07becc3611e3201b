// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension ClientCore {
    /// The maximum number of redirections of one command.
    static let maxRedirections = 5
    /// How often the script of one command is loaded.
    static let maxReloads = 3
    /// The delay after `TRYAGAIN`.
    static let tryAgainDelay = TimeAmount.milliseconds(20)

    /// Handles a reply to a command of the client's user.
    func received(_ reply: RedisReply, to pending: PendingCommand, on connection: RedisConnection) {
        if case .error(let error) = reply {
            received(error, to: pending, on: connection)
        } else {
            pending.complete(.success(reply))
        }
        // Only errors create lanes, so that the reply costs nothing more in the usual case.
        if !lanes.isEmpty, let slot = pending.command.slot { advanceLane(slot, of: connection) }
    }

    private func received(_ error: RedisError, to pending: PendingCommand, on connection: RedisConnection) {
        switch error.code {
        case "NOSCRIPT":
            if let script = pending.command.script, pending.reloads < Self.maxReloads {
                pending.reloads += 1
                return retry(pending, on: connection) { lane in
                    if !lane.scripts.contains(script) { lane.scripts.append(script) }
                }
            }
        case "MOVED" where settings.mode == .cluster:
            guard let redirection = Redirection(error.text, from: connection.endpoint), mayAddNodes else { break }
            assign(redirection.slot, to: redirection.endpoint)
            refreshCluster()
            return redirect(pending, on: connection)
        case "ASK" where settings.mode == .cluster:
            guard let redirection = Redirection(error.text, from: connection.endpoint), mayAddNodes else { break }
            pending.askedEndpoint = redirection.endpoint
            return redirect(pending, on: connection)
        case "TRYAGAIN" where settings.mode == .cluster && pending.redirections < Self.maxRedirections:
            pending.redirections += 1
            return retry(pending, on: connection) { $0.isDelayed = true }
        case "CLUSTERDOWN":
            refreshCluster()
            return pending.complete(.failure(.unavailable("\(error)")))
        default: break
        }
        pending.complete(.failure(.error(error)))
        if error.requiresRediscovery { abandon(connection, "\(error)") }
    }

    private func redirect(_ pending: PendingCommand, on connection: RedisConnection) {
        pending.redirections += 1
        guard pending.redirections <= Self.maxRedirections else {
            pending.askedEndpoint = nil
            return pending.complete(.failure(.unavailable("more than \(Self.maxRedirections) redirections")))
        }
        retry(pending, on: connection) { _ in }
    }

    // MARK: Lanes

    /// Sends a rejected command again, when all replies to earlier commands of its slot have arrived.
    private func retry(_ pending: PendingCommand, on connection: RedisConnection, _ change: (inout SlotLane) -> Void) {
        guard let slot = pending.command.slot else {
            route(pending)
            return
        }
        var lane = lanes[slot] ?? SlotLane(connection, slot: slot)
        lane.rejected.append(pending)
        change(&lane)
        lanes[slot] = lane
    }

    /// Counts a reply for the lane of its slot, and releases the lane after the last one.
    private func advanceLane(_ slot: Int, of connection: RedisConnection) {
        guard var lane = lanes[slot], lane.connection === connection, lane.missingReplies > 0 else { return }
        lane.missingReplies -= 1
        lanes[slot] = lane
        guard lane.missingReplies == 0 else { return }
        guard lane.isDelayed else { return release(slot) }
        eventLoop.assumeIsolated().scheduleTask(in: Self.tryAgainDelay) { [self] in
            guard let lane = lanes[slot], lane.connection === connection, lane.missingReplies == 0 else { return }
            release(slot)
        }
    }

    private func release(_ slot: Int) {
        guard let lane = lanes.removeValue(forKey: slot) else { return }
        for script in lane.scripts { lane.connection.send(.load(script)) { _ in } }
        for pending in lane.rejected { route(pending) }
        // A failed attempt can have created another lane.
        for pending in lane.held { send(pending) }
    }

    func failLanes(of connection: RedisConnection, _ reason: String) {
        for (slot, lane) in lanes where lane.connection === connection {
            lanes[slot] = nil
            fail(lane, reason)
        }
    }

    func fail(_ lane: SlotLane, _ reason: String) {
        for pending in lane.rejected + lane.held { pending.complete(.failure(.unavailable(reason))) }
    }

    private func abandon(_ connection: RedisConnection, _ reason: String) {
        nodes.first { $0.connection === connection }?.abandon(reason)
    }
}
