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
            }
        }
        return admission.service
    }

    func setWaiting(_ channel: any Channel, _ isWaiting: Bool) {
        state.withLock { $0.limit.setWaiting(ObjectIdentifier(channel), isWaiting, at: Self.now) }
    }

    /// Closes idle connections, those that serve a request after its response, and new ones at once.
    func quiesce() {
        let channels = state.withLock { state in
            state.isQuiescing = true
            return Array(state.channels.values)
        }
        for channel in channels {
            channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
    }

    func service(of channel: ObjectIdentifier) -> Service? { state.withLock { $0.limit.service(of: channel) } }

    private static var now: Instant { Instant(nanoseconds: LoopClock.monotonicNanoseconds()) }
}
