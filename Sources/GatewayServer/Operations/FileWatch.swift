/// Tells a finished change of files from one that is under way.
///
/// An editor that replaces a file, or Kubernetes that replaces a mounted folder, does so in several steps. In between a file may be missing or
/// half written, and a reload would refuse it, or take half of it. So a change counts when two looks in a row see the same.
struct FileWatch {
    private var last: ConfigurationFingerprint?
    private var looks = 0

    /// Files that never rest are read all the same after so many looks.
    static let mostLooks = 10

    /// Whether the last look saw a change that isn't finished.
    var isSettling: Bool { last != nil }

    /// - Parameters:
    ///   - fingerprint: of this look
    ///   - known: of the files in force
    /// - Returns: whether to read the files now
    mutating func hasChanged(_ fingerprint: ConfigurationFingerprint, from known: ConfigurationFingerprint) -> Bool {
        guard fingerprint != known else {
            self = FileWatch()
            return false
        }
        looks += 1
        if fingerprint == last || looks >= Self.mostLooks {
            self = FileWatch()
            return true
        }
        last = fingerprint
        return false
    }
}
