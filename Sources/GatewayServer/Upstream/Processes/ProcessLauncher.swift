import CProcess

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What stands between the gateway and the program of a `process` upstream: a moment of our own code in the new process, before the program takes
/// its place.
///
/// There the kernel is told to kill it when the gateway dies, and its memory is bounded. Neither can be done from outside without a gap.
package enum ProcessLauncher {
    /// The subcommand of the executable.
    package static let subcommand = "launch-upstream"

    /// The arguments behind the subcommand.
    static func arguments(parent: Int32, memoryLimit: Int, group: String?, command: [String]) -> [String] {
        ["\(parent)", "\(memoryLimit)", group ?? "-"] + command
    }

    /// Becomes the program. Returns only if that isn't possible, with the exit status.
    ///
    /// - Parameter arguments: as made by the gateway that starts it
    package static func run(_ arguments: [String]) -> Int32 {
        guard arguments.count >= 4, let parent = Int32(arguments[0]), let memory = UInt(arguments[1]) else { return 64 }
        guard parley_die_with_parent() == 0 else { return 71 }
        // It may have died before the kernel was told.
        guard getppid() == parent else { return 1 }
        if arguments[2] != "-" { join(arguments[2]) }
        if memory > 0 {
            var limit = rlimit(rlim_cur: memory, rlim_max: memory)
            guard setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 else { return 71 }
        }
        // A core file of somebody's conversation is of use to nobody.
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        var pointers = arguments[3...].map { strdup($0) as UnsafeMutablePointer<CChar>? } + [nil]
        execvp(arguments[3], &pointers)
        let reason = String(cString: strerror(errno))
        let line = "parley: \(arguments[3]) can't be started: \(reason)\n"
        _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
        return 127
    }

    private static func join(_ group: String) {
        let file = open("\(group)/cgroup.procs", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        // 0 is whoever writes it.
        _ = write(file, "0", 1)
        close(file)
    }
}
