/// Why a request, or one attempt of it, is no longer wanted: upstream page, section "Cancelling".
package enum CancelReason: String, Sendable, CaseIterable {
    case client
    /// The session has ended.
    case session
    case timeout
    /// The gateway shuts down.
    case drain
    /// Another attempt was faster, or another stage of the chain has failed.
    case obsolete
    /// The upstream has broken its protocol or a limit.
    case fault
}
