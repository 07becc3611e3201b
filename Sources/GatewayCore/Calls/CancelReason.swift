// SPDX-License-Identifier: Apache-2.0

/// The reason for cancelling a request or one of its attempts (upstream page, section "Control messages").
package enum CancelReason: String, Sendable, CaseIterable {
    case client
    /// The session has ended.
    case session
    case timeout
    /// The gateway is draining.
    case drain
    /// Another attempt responded first, or another stage of the chain has failed.
    case obsolete
    /// The upstream has violated its protocol or exceeded a limit.
    case fault
}
