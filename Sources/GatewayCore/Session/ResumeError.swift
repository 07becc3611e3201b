/// Why a resume opened a new session instead.
package enum ResumeError: String, Sendable {
    /// The session is over. Told only for a genuine token.
    case expired
    case unknown
    /// `last_seq` is none that the session has reached.
    case badLastSequence = "bad_last_seq"
}
