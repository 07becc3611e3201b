// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Synchronization

/// The list of undelivered pushes of all event loops.
package final class UndeliveredPushes: Sendable {
    private let list: Mutex<UndeliveredList>

    /// - Parameter limit: `push.undelivered_max`
    package init(limit: Int = ConfigurationSection.Push().undeliveredMax) { list = Mutex(UndeliveredList(limit: limit)) }

    package var limit: Int {
        get { list.withLock { $0.limit } }
        set { list.withLock { $0.limit = newValue } }
    }

    /// Adds a push that failed. A retried push isn't listed again.
    func add(_ failed: FailedPush, session: ULID?, user: String?) {
        guard !failed.push.isRetry else { return }
        let wall = LoopClock.wallMilliseconds()
        list.withLock { list in
            list.add(failed, session: session, user: user, wall: wall) {
                var generator = SystemRandomNumberGenerator()
                return ULID(unixMilliseconds: wall, using: &generator)
            }
        }
    }

    func page(after cursor: ULID?, limit: Int) -> [UndeliveredList.Entry] {
        list.withLock { $0.page(after: cursor, limit: limit, wall: LoopClock.wallMilliseconds()) }
    }

    func take(_ ids: Set<ULID>) -> [UndeliveredList.Entry] { list.withLock { $0.take(ids, wall: LoopClock.wallMilliseconds()) } }

    func erase(_ session: ULID) { list.withLock { $0.erase(session) } }
}
