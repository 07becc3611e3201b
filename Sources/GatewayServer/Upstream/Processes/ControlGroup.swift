import Dispatch
import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A control group of its own for a process, so that everything that it starts can be killed, also what has left its process group.
///
/// Where the system has no version 2 hierarchy that the gateway may write to, there is none.
///
/// Whatever is done to groups waits for a lock of the whole system's, which the joining of one process can hold for ten milliseconds and more. So
/// it is done on a thread of its own, one after the other, never on an event loop.
struct ControlGroup: Sendable {
    let path: String

    /// The group that the gateway is in; nil where there is no such.
    private static let parent: String? = {
        guard let mounts = try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8),
            let groups = try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)
        else { return nil }
        let mount = mounts.split(separator: "\n").first { $0.contains(" - cgroup2 ") }.flatMap { line in
            line.split(separator: " ").dropFirst(4).first
        }
        let own = groups.split(separator: "\n").first { $0.hasPrefix("0::") }?.dropFirst(3)
        guard let mount, let own else { return nil }
        let path = mount + (own == "/" ? "" : own)
        // Without it, what is in a group can't be killed at once.
        return access("\(path)/cgroup.procs", W_OK) == 0 ? String(path) : nil
    }()

    private static let prefix = "parley-upstream-"

    private static let numbers = Atomic<UInt64>(0)
    private static let queue = DispatchQueue(label: "parley.control-groups")

    private static func apart<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: body()) }
        }
    }

    /// Makes one; nil where that isn't possible.
    static func make() async -> ControlGroup? {
        guard let parent else { return nil }
        return await apart { ControlGroup(in: parent) }
    }

    private init?(in parent: String) {
        guard let start = Self.start(of: getpid()) else { return nil }
        path = "\(parent)/\(Self.prefix)\(getpid())-\(start)-\(Self.numbers.add(1, ordering: .relaxed).newValue)"
        guard mkdir(path, 0o755) == 0 else { return nil }
        guard access("\(path)/cgroup.kill", W_OK) == 0 else {
            rmdir(path)
            return nil
        }
    }

    /// Kills everything in it.
    func kill() async { await Self.apart { Self.kill(path) } }

    private static func kill(_ path: String) {
        let file = open("\(path)/cgroup.kill", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = write(file, "1", 1)
        close(file)
    }

    /// False as long as something in it is left.
    func remove() async -> Bool { await Self.apart { rmdir(path) == 0 || errno == ENOENT } }

    /// When a process began, in ticks since the machine did; nil when there is none.
    private static func start(of process: pid_t) -> Substring? {
        guard let stat = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8), let end = stat.lastIndex(of: ")") else {
            return nil
        }
        return stat[end...].split(separator: " ").dropFirst(20).first
    }

    /// Those of gateways that died: what is left in them is killed.
    static func sweep() async {
        guard let parent else { return }
        await apart { sweep(parent) }
    }

    private static func sweep(_ parent: String) {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: parent) else { return }
        for name in names where name.hasPrefix(prefix) {
            let parts = name.dropFirst(prefix.count).split(separator: "-")
            // Its number may be another process's by now, which then has begun at another time.
            guard parts.count == 3, let owner = pid_t(parts[0]), start(of: owner).map(String.init) != String(parts[1]) else { continue }
            kill("\(parent)/\(name)")
            rmdir("\(parent)/\(name)")
        }
    }
}
