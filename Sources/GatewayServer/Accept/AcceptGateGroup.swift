// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The accept gates of the listeners that share the connection limits: a closed socket of one listener lets each of them accept again.
package final class AcceptGateGroup: Sendable {
    private let resumptions = Mutex<[@Sendable () -> Void]>([])

    package init() {}

    func add(_ resume: @escaping @Sendable () -> Void) { resumptions.withLock { $0.append(resume) } }

    func resume() {
        for resume in resumptions.withLock({ $0 }) { resume() }
    }
}
