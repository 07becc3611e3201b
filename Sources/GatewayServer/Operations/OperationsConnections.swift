// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import Synchronization

/// The open connections of the operations listener on all event loops, subject to an ``OperationsConnectionLimit``.
final class OperationsConnections: Sendable {
    typealias Service = OperationsConnectionLimit<ObjectIdentifier>.Service

    private struct State {
        var limit: OperationsConnectionLimit<ObjectIdentifier>
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// The connections that receive a stream of events, which ends with the connection.
        var streams: Set<ObjectIdentifier> = []
        var isQuiescing = false
    }

    private let state: Mutex<State>

    init(_ limits: OperationsLimits) {
        state = Mutex(
            State(limit: OperationsConnectionLimit(connections: limits.connections, healthConnections: limits.healthConnections)))
    }

    /// Admits an accepted connection, and closes the connection that it replaces, if any. Returns nil if the new one must be closed.
    func admit(_ channel: any Channel) -> Service? {
        let id = ObjectIdentifier(channel)
        let (admission, evicted) = state.withLock { state -> (OperationsConnectionLimit<ObjectIdentifier>.Admission?, (any Channel)?) in
            guard !state.isQuiescing, let admission = state.limit.admit(id, at: Self.now) else { return (nil, nil) }
            state.channels[id] = channel
            return (admission, admission.evicted.flatMap { state.channels.removeValue(forKey: $0) })
        }
        evicted?.close(promise: nil)
        guard let admission else { return nil }
        channel.closeFuture.whenComplete { [self] _ in
            state.withLock { state in
                state.limit.remove(id)
                state.channels[id] = nil
                state.streams.remove(id)
            }
        }
        return admission.service
    }

    func setWaiting(_ channel: any Channel, _ isWaiting: Bool) {
        state.withLock { $0.limit.setWaiting(ObjectIdentifier(channel), isWaiting, at: Self.now) }
    }

    /// Begins a stream of events on a connection. Returns false at the limit of streams, and during a shutdown.
    func beginStream(on channel: ObjectIdentifier, limit: Int) -> Bool {
        state.withLock { state in
            guard !state.isQuiescing, state.channels[channel] != nil, state.streams.count < limit else { return false }
            state.streams.insert(channel)
            return true
        }
    }

    /// Closes idle connections, those that serve a request after its response, and new ones and those with a stream of events at once.
    func quiesce() {
        let (channels, streams) = state.withLock { state in
            state.isQuiescing = true
            return (Array(state.channels.values), state.streams)
        }
        for channel in channels {
            if streams.contains(ObjectIdentifier(channel)) {
                channel.close(promise: nil)
            } else {
                channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
            }
        }
    }

    func service(of channel: ObjectIdentifier) -> Service? { state.withLock { $0.limit.service(of: channel) } }

    private static var now: Instant { Instant(nanoseconds: LoopClock.monotonicNanoseconds()) }
}
