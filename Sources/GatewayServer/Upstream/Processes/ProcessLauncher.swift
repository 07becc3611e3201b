import Foundation

/// `parley-launch`, the helper that starts the program of a `process` upstream.
///
/// Inside the new process, before it executes the program, the helper sets the parent-death signal, so that the kernel kills the process with the
/// gateway, and the memory limit. Setting either from outside would leave a race.
struct ProcessLauncher: Sendable {
    /// The helper is missing or isn't executable.
    struct Missing: Error, CustomStringConvertible {
        let path: String
        var description: String {
            "\(path) is missing or not executable; upstreams of kind process need it beside the parley executable"
        }
    }

    /// The path of the helper's executable.
    let path: String

    /// Finds the helper beside an executable, by default the running one.
    ///
    /// - Throws: ``Missing``
    init(beside executable: String = ownExecutable) throws(Missing) {
        path = (executable as NSString).deletingLastPathComponent + "/parley-launch"
        guard FileManager.default.isExecutableFile(atPath: path) else { throw Missing(path: path) }
    }

    /// The path of the running executable. If the file was replaced since, the kernel appends ` (deleted)` to the name; the directory is unaffected.
    private static var ownExecutable: String { (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "" }

    /// Returns the helper's arguments.
    ///
    /// - Parameters:
    ///   - parent: the process that the program must not outlive
    ///   - memoryLimit: maximum address space, in bytes; 0 for none
    ///   - group: the directory of the control group to join; nil for none
    func arguments(parent: Int32, memoryLimit: Int, group: String?, command: [String]) -> [String] {
        ["\(parent)", "\(memoryLimit)", group ?? "-"] + command
    }
}
