// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A cgroup for one worker process, so that all descendants of the worker can be killed, including those that have left its process group.
///
/// Available only where the gateway can write to a cgroup v2 hierarchy.
///
/// Operations on cgroups wait for a system-wide lock, which a single joining process can hold for 10 ms and more. They run on a serial
/// queue of their own, never on an event loop.
struct ControlGroup: Sendable {
    let path: String

    /// The directory of the gateway's own cgroup; nil where cgroup v2 isn't available or writable.
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
        // Processes can only be moved into subgroups of a group whose `cgroup.procs` is writable.
        return access("\(path)/cgroup.procs", W_OK) == 0 ? String(path) : nil
    }()

    private static let prefix = "parley-upstream-"

    private static let nextNumber = Atomic<UInt64>(0)
    private static let queue = DispatchQueue(label: "parley.control-groups")

    private static func onQueue<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: body()) }
        }
    }

    /// Makes a control group; nil where cgroup v2 isn't available.
    static func make() async -> ControlGroup? {
        guard let parent else { return nil }
        return await onQueue { ControlGroup(in: parent) }
    }

    private init?(in parent: String) {
        guard let start = Self.start(of: getpid()) else { return nil }
        path = "\(parent)/\(Self.prefix)\(getpid())-\(start)-\(Self.nextNumber.add(1, ordering: .relaxed).newValue)"
        guard mkdir(path, 0o755) == 0 else { return nil }
        guard access("\(path)/cgroup.kill", W_OK) == 0 else {
            rmdir(path)
            return nil
        }
    }

    /// Kills all processes in the group.
    func kill() async { await Self.onQueue { Self.kill(path) } }

    private static func kill(_ path: String) {
        let file = open("\(path)/cgroup.kill", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = write(file, "1", 1)
        close(file)
    }

    /// Removes the group.
    ///
    /// - Returns: false while processes remain in the group
    func remove() async -> Bool { await Self.onQueue { rmdir(path) == 0 || errno == ENOENT } }

    /// Returns the start time of a process in clock ticks since boot (`proc(5)`); nil when the process doesn't exist.
    private static func start(of process: pid_t) -> Substring? {
        guard let stat = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8), let end = stat.lastIndex(of: ")") else {
            return nil
        }
        return stat[end...].split(separator: " ").dropFirst(20).first
    }

    /// Removes the groups of gateways that have exited and kills the processes left in them.
    static func sweep() async {
        guard let parent else { return }
        await onQueue { sweep(parent) }
    }

    private static func sweep(_ parent: String) {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: parent) else { return }
        for name in names where name.hasPrefix(prefix) {
            let parts = name.dropFirst(prefix.count).split(separator: "-")
            // The pid may have been reused; then the start time differs.
            guard parts.count == 3, let owner = pid_t(parts[0]), start(of: owner).map(String.init) != String(parts[1]) else { continue }
            kill("\(parent)/\(name)")
            rmdir("\(parent)/\(name)")
        }
    }
}
