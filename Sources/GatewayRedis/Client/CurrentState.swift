// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The state of a client or subscriber, for other threads than its event loop.
final class CurrentState: Sendable {
    private let state = Mutex(RedisClientState.connecting)

    var value: RedisClientState {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}
