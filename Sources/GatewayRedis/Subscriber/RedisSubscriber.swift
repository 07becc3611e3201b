// SPDX-License-Identifier: Apache-2.0

package import NIOCore
import Synchronization

/// A connection that receives the messages of channels (pub/sub).
///
/// The server delivers each message at most once, and none while the connection is interrupted. With Sentinel, the connection is to the
/// master; in a cluster, to one of the configured nodes.
package final class RedisSubscriber: Sendable {
    package let eventLoop: any EventLoop
    private let core: NIOLoopBoundBox<SubscriberCore>
    private let current = CurrentState()

    /// - Parameters:
    ///   - handler: called on the event loop with the channel and each of its messages
    ///   - onReconnect: called on the event loop when all channels are subscribed again after a lost connection: messages may have been missed
    ///   - onStateChange: called on the event loop after each change of the state; connected means that all channels are subscribed
    package init(
        settings: RedisSettings, eventLoop: any EventLoop, channels: [String],
        handler: @escaping @Sendable (_ channel: String, _ message: [UInt8]) -> Void, onReconnect: @escaping @Sendable () -> Void = {},
        onStateChange: @escaping @Sendable (RedisClientState) -> Void = { _ in }
    ) {
        self.eventLoop = eventLoop
        let current = current
        core = NIOLoopBoundBox.makeBoxSendingValue(
            Self.makeCore(settings, eventLoop, channels, handler, onReconnect) { state in
                current.value = state
                onStateChange(state)
            }, eventLoop: eventLoop)
    }

    private static func makeCore(
        _ settings: RedisSettings, _ eventLoop: any EventLoop, _ channels: [String],
        _ handler: @escaping @Sendable (String, [UInt8]) -> Void, _ onReconnect: @escaping @Sendable () -> Void,
        _ onStateChange: @escaping @Sendable (RedisClientState) -> Void
    ) -> sending SubscriberCore {
        let connector = RedisConnector(settings: settings, eventLoop: eventLoop)
        let resolver = MasterResolver(connector: connector)
        let purpose: ConnectionPurpose = settings.mode == .cluster ? .clusterNode : .master
        let core = SubscriberCore(connector: connector, purpose: purpose, channels: channels) { resolver.resolve(completion: $0) }
        core.onMessage = handler
        core.onSubscribed = { again in if again { onReconnect() } }
        core.onStateChange = onStateChange
        return core
    }

    /// The state as of now; may be read from any thread.
    package var state: RedisClientState { current.value }

    /// Starts to connect.
    package func start() { onLoop { $0.start() } }

    /// Closes the connection. No handler is called after that.
    package func close() async {
        _ = try? await eventLoop.submit { [core] in core.value.stop() }.get()
    }

    /// Subscribes to another channel. May be called from any thread.
    package func subscribe(_ channel: String) { onLoop { $0.subscribe(channel) } }

    /// Cancels the subscription of a channel. May be called from any thread.
    package func unsubscribe(_ channel: String) { onLoop { $0.unsubscribe(channel) } }

    private func onLoop(_ body: @escaping @Sendable (SubscriberCore) -> Void) {
        if eventLoop.inEventLoop { body(core.value) } else { eventLoop.execute { [core] in body(core.value) } }
    }
}
