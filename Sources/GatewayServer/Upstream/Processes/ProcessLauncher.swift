// SPDX-License-Identifier: Apache-2.0

import Foundation

/// `parley-launch`, the helper that starts the program of a `process` upstream.
///
/// In the new process, before executing the program, the helper sets the memory limit and the parent-death signal, with which the kernel
/// kills the process when the gateway exits. Setting either from outside would leave a race.
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

    /// The path of the running executable. If the file was replaced, the kernel appends ` (deleted)` to the name, not to the directory.
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
