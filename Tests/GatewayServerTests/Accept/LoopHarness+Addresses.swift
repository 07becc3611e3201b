// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Support

@testable import GatewayServer

extension LoopHarness {
    /// The addresses of the clients with an open session, in the order of the sessions.
    var addresses: [String] {
        shard.sessions.all.sorted { $0.session.id < $1.session.id }.compactMap { $0.connection?.address }
    }
}
