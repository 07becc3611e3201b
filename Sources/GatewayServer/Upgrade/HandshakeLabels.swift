// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS

extension HandshakeKind {
    init(_ handshake: TLSHandshakeCompleted) {
        switch (handshake.version, handshake.isResumed) {
        case (.v1_2, false): self = .full1_2
        case (.v1_2, true): self = .resumed1_2
        case (.v1_3, false): self = .full1_3
        case (.v1_3, true): self = .resumed1_3
        }
    }
}

extension HandshakeFailure {
    /// Returns nil for an error after the handshake.
    init?(_ error: TLSError) {
        switch error {
        case .plainHTTP: self = .plainHTTP
        case .closedDuringHandshake: self = .closed
        case .handshakeFailed(_, let alert): self.init(alert: alert?.code, isReceived: alert?.direction == .received)
        case .protocolFailure, .truncated, .outputClosed, .outOfMemory: return nil
        }
    }
}
