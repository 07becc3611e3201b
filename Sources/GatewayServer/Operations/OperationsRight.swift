// SPDX-License-Identifier: Apache-2.0

/// A right that a token of the operations listener grants: `operations.tokens.<name>.rights`.
package enum OperationsRight: String, Sendable, Hashable, CaseIterable, Codable {
    /// Figures, lists and metrics, without what was said.
    case read
    /// Texts, transcripts, titles and notes.
    case content
    /// Actions on the gateway, its upstreams, sessions and tokens.
    case operate
    /// Listening to a session and responding in place of its upstream.
    case supervise
    /// Messages to sessions.
    case push
    /// Erasing sessions.
    case erase
}
