// SPDX-License-Identifier: Apache-2.0

import Support

@testable import GatewayServer

extension LoopHarness {
    /// The addresses of the clients with an open session, at most a hundred.
    var addresses: [String] { shard.sessions.liveSessions(after: nil, limit: 100, attached: true).compactMap { $0.link?.address } }
}
