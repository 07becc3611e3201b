// SPDX-License-Identifier: Apache-2.0

import GatewayServer

/// The address of an operations listener on a command line: `host:port` or `https://host:port`.
struct OperationsAddress {
    let endpoint: SocketEndpoint
    let isSecure: Bool

    init?(_ text: String) {
        var rest = text[...]
        isSecure = rest.hasPrefix("https://")
        if isSecure {
            rest = rest.dropFirst("https://".count)
            if rest.hasSuffix("/") { rest.removeLast() }
        }
        guard let endpoint = SocketEndpoint(String(rest)) else { return nil }
        self.endpoint = endpoint
    }
}
