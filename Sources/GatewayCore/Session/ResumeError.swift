// SPDX-License-Identifier: Apache-2.0

/// The reason why a resume attempt opened a new session instead.
package enum ResumeError: String, Sendable {
    /// The session has ended. Reported only for a genuine token.
    case expired
    case unknown
    /// `last_seq` is higher than the last sequence number of the session.
    case badLastSequence = "bad_last_seq"
}
