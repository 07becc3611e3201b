import Foundation

/// What stands between the gateway and the program of a `process` upstream: `parley-launch`, a moment of our own code in the new process, before
/// the program takes its place.
///
/// There the kernel is told to kill it when the gateway dies, and its memory is bounded. Neither can be done from outside without a gap.
struct ProcessLauncher: Sendable {
    /// It isn't where it is looked for.
    struct Missing: Error, CustomStringConvertible {
        let path: String
        var description: String {
            "\(path) isn't there or can't be executed: upstreams of the kind process need it, and it comes with parley"
        }
    }

    /// Its executable.
    let path: String

    /// That beside an executable, by default the running one.
    ///
    /// - Throws: ``Missing``
    init(beside executable: String = ownExecutable) throws(Missing) {
        path = (executable as NSString).deletingLastPathComponent + "/parley-launch"
        guard FileManager.default.isExecutableFile(atPath: path) else { throw Missing(path: path) }
    }

    /// What has been replaced since it was started has a word behind its name, but its folder still.
    private static var ownExecutable: String { (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "" }

    /// - Parameters:
    ///   - parent: the process that the program must not outlive
    ///   - memoryLimit: of its address space, bytes; 0 for none
    ///   - group: the folder of the control group to join
    func arguments(parent: Int32, memoryLimit: Int, group: String?, command: [String]) -> [String] {
        ["\(parent)", "\(memoryLimit)", group ?? "-"] + command
    }
}
