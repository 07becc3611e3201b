// SPDX-License-Identifier: Apache-2.0

package import Foundation
import Synchronization

/// A child process of a test. Its output is collected line by line, its exit can be awaited, and it never outlives the tests.
///
/// Each process has a thread that spawns it, reads its pipes and reaps it. `setpriv --pdeathsig` makes the kernel kill the process when
/// that thread ends, hence also when the tests crash or are killed.
package final class ChildProcess: Sendable {
    /// The exit code, or the negative number of the signal that ended the process.
    package typealias ExitStatus = Int32

    package struct Output: Sendable {
        package fileprivate(set) var lines: [String] = []
        package fileprivate(set) var errorLines: [String] = []
        /// Set when both pipes are closed and the process is reaped.
        package fileprivate(set) var status: ExitStatus?
        fileprivate var partial: [UInt8] = []
        fileprivate var partialError: [UInt8] = []
    }

    package let output = AwaitableValue(Output())
    package let identifier: pid_t

    /// - Parameters:
    ///   - directory: the working directory
    ///   - environment: the whole environment, apart from the variables that the toolchain needs
    ///   - inspect: called with each line of both outputs
    package init(
        _ executable: String, _ arguments: [String], directory: String, environment: [String: String] = [:],
        inspect: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        // A child spawned between pipe() and FD_CLOEXEC would inherit the pipe and keep it open, so spawns are serialized.
        Self.spawnLock.lock()
        defer { Self.spawnLock.unlock() }
        let (readOutput, writeOutput) = try Self.makePipe()
        let (readError, writeError) = try Self.makePipe()
        let started = DispatchSemaphore(value: 0)
        let result = Mutex<(pid: pid_t, code: Int32)>((0, 0))
        let output = output
        let thread = Thread {
            let (pid, code) = Self.spawn(
                ["/usr/bin/env", "-C", directory, "setpriv", "--pdeathsig", "KILL", executable] + arguments, environment: environment,
                output: writeOutput, error: writeError)
            close(writeOutput)
            close(writeError)
            result.withLock { $0 = (pid, code) }
            started.signal()
            defer {
                close(readOutput)
                close(readError)
            }
            guard code == 0 else { return }
            Self.read(readOutput, readError, into: output, inspect: inspect)
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            let ended = status & 0x7F == 0 ? status >> 8 & 0xFF : -(status & 0x7F)
            output.change { $0.status = ended }
        }
        thread.start()
        started.wait()
        let (pid, code) = result.withLock { $0 }
        guard code == 0 else { throw TestFailure("cannot start \(executable): \(String(cString: strerror(code)))") }
        identifier = pid
    }

    deinit { signal(SIGKILL) }

    package var lines: [String] { output.value.lines }
    package var errorLines: [String] { output.value.errorLines }
    package var isRunning: Bool { output.value.status == nil }

    /// Sends a signal, unless the process has exited.
    package func signal(_ number: Int32) {
        if isRunning { kill(identifier, number) }
    }

    /// Waits for the process to exit; kills it after `limit`.
    package func exit(timeout limit: Duration = .seconds(20)) async throws -> ExitStatus {
        guard let status = await output.wait(timeout: limit, { $0.status }) else {
            signal(SIGKILL)
            throw TestFailure("the process didn't exit within \(limit); last lines: \(lines.suffix(5))")
        }
        return status
    }

    /// Runs a program and waits for it to exit.
    package static func run(
        _ executable: String, _ arguments: [String], directory: String, environment: [String: String] = [:],
        timeout limit: Duration = .seconds(30)
    ) async throws -> (status: ExitStatus, lines: [String], errorLines: [String]) {
        let process = try ChildProcess(executable, arguments, directory: directory, environment: environment)
        let status = try await process.exit(timeout: limit)
        return (status, process.lines, process.errorLines)
    }

    private static let spawnLock = NSLock()

    private static func makePipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw TestFailure("pipe() failed: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func spawn(
        _ arguments: [String], environment: [String: String], output: Int32, error: Int32
    ) -> (pid: pid_t, code: Int32) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, error, 2)
        // A child that inherited another test's pipe would keep it open, and its reader would never see the end of file.
        for descriptor in 3..<1024 as Range<Int32> { posix_spawn_file_actions_addclose(&actions, descriptor) }
        // The child doesn't inherit the tests' signal mask and ignored signals.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var defaults = sigset_t()
        sigfillset(&defaults)
        sigdelset(&defaults, SIGKILL)
        sigdelset(&defaults, SIGSTOP)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var all = ["PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": NSHomeDirectory()]
        // Toolchain libraries may be outside the program's directory; sanitizer options apply to the programs under test, too.
        for name in ["LD_LIBRARY_PATH", "TSAN_OPTIONS", "ASAN_OPTIONS"] { all[name] = ProcessInfo.processInfo.environment[name] }
        all.merge(environment) { $1 }
        let argv = arguments.map { strdup($0) } + [nil]
        let envp = all.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer {
            for pointer in argv + envp { free(pointer) }
        }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, arguments[0], &actions, &attributes, argv, envp)
        return (pid, code)
    }

    /// Reads both pipes until they are closed.
    private static func read(
        _ output: Int32, _ error: Int32, into collected: AwaitableValue<Output>, inspect: @Sendable (String) -> Void
    ) {
        var polled = [
            pollfd(fd: output, events: Int16(POLLIN), revents: 0), pollfd(fd: error, events: Int16(POLLIN), revents: 0),
        ]
        var buffer = [UInt8](repeating: 0, count: 65536)
        while polled.contains(where: { $0.fd >= 0 }) {
            guard poll(&polled, 2, -1) > 0 else { continue }
            for index in polled.indices where polled[index].fd >= 0 && polled[index].revents != 0 {
                let count = Glibc.read(polled[index].fd, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                let bytes = buffer.prefix(max(0, count))
                let isEnd = count <= 0
                var new: [String] = []
                collected.change { state in
                    let known = (state.lines.count, state.errorLines.count)
                    defer { new = Array(state.lines[known.0...] + state.errorLines[known.1...]) }
                    if index == 0 {
                        split(bytes, isEnd: isEnd, partial: &state.partial, lines: &state.lines)
                    } else {
                        split(bytes, isEnd: isEnd, partial: &state.partialError, lines: &state.errorLines)
                    }
                }
                new.forEach(inspect)
                if isEnd { polled[index].fd = -1 }
            }
        }
    }

    private static func split(_ bytes: ArraySlice<UInt8>, isEnd: Bool, partial: inout [UInt8], lines: inout [String]) {
        var rest = bytes
        while let end = rest.firstIndex(of: 0x0A) {
            lines.append(String(decoding: partial + rest[..<end], as: UTF8.self))
            partial = []
            rest = rest[(end + 1)...]
        }
        partial += rest
        if isEnd, !partial.isEmpty {
            lines.append(String(decoding: partial, as: UTF8.self))
            partial = []
        }
    }
}
