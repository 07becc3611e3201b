// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Synchronization

/// Plays audio responses one after the other with `paplay` or `aplay`, one process per response.
final class AudioPlayer: AudioSink {
    /// Maximum number of bytes queued for playback: eleven minutes of 16-bit mono audio at 24 kHz.
    private static let maximumQueuedBytes = 32 << 20

    private struct State {
        var queuedBytes = 0
        var process: pid_t?
        var pipe: Int32 = -1
        var failure: String?
        var isStopped = false
    }

    private let program: String
    private let state = Mutex(State())
    /// Runs the blocking operations: writes to the player's pipe, and waiting for its exit.
    private let queue = DispatchQueue(label: "loudspeaker")

    /// - Throws: ``FileFault`` if neither program is installed
    init() throws(FileFault) {
        let directories = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
        let candidates = ["paplay", "aplay"].flatMap { name in directories.map { "\($0)/\(name)" } }
        guard let found = candidates.first(where: { access($0, X_OK) == 0 }) else {
            throw FileFault(
                path: "--speak", reason: "neither paplay nor aplay is installed; install one, or write a file with --speak FILE.wav")
        }
        program = found
    }

    /// The first error as text; nil if there was none.
    var failure: String? { state.withLock { $0.failure } }

    func begin(_ format: AudioFormat) throws(FileFault) {
        guard let arguments = arguments(format) else {
            throw FileFault(path: program, reason: "the codec \(format.codec.rawValue) can't be played")
        }
        queue.async { [self] in start(arguments) }
    }

    func append(_ bytes: [UInt8]) throws(FileFault) {
        let hasRoom = state.withLock { state in
            guard state.queuedBytes + bytes.count <= Self.maximumQueuedBytes else { return false }
            state.queuedBytes += bytes.count
            return true
        }
        guard hasRoom else { throw FileFault(path: program, reason: "the playback queue is full (\(Self.maximumQueuedBytes >> 20) MiB)") }
        queue.async { [self] in
            let pipe = state.withLock { state in
                state.queuedBytes -= bytes.count
                return state.pipe
            }
            guard pipe >= 0, let failure = Descriptor.write(bytes, to: pipe) else { return }
            fail(Descriptor.text(failure))
        }
    }

    func end() throws(FileFault) { queue.async { [self] in waitForPlayer() } }

    /// Returns when all queued audio has been played.
    func drain() async { await withCheckedContinuation { continuation in queue.async { continuation.resume() } } }

    /// Stops playback at once and discards queued audio.
    func stop() {
        state.withLock { state in
            state.isStopped = true
            if let process = state.process { kill(process, SIGTERM) }
        }
    }

    // MARK: On the queue

    private func start(_ arguments: [String]) {
        waitForPlayer()
        guard !state.withLock({ $0.isStopped }) else { return }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return fail(Descriptor.text(errno)) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        // The player gets default signal actions and an empty signal mask, instead of inheriting those of this process.
        var (all, none) = (sigset_t(), sigset_t())
        sigfillset(&all)
        sigemptyset(&none)
        sigdelset(&all, SIGKILL)
        sigdelset(&all, SIGSTOP)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        let argv = ([program] + arguments).map { strdup($0) } + [nil]
        let envp = ProcessInfo.processInfo.environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer {
            for pointer in argv + envp { free(pointer) }
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        var process: pid_t = 0
        let code = posix_spawn(&process, program, &actions, &attributes, argv, envp)
        close(ends[0])
        guard code == 0 else {
            close(ends[1])
            return fail(Descriptor.text(code))
        }
        state.withLock { state in
            (state.process, state.pipe) = (process, ends[1])
            if state.isStopped { kill(process, SIGTERM) }
        }
    }

    /// Waits until the current audio response has been played.
    private func waitForPlayer() {
        let (process, pipe) = state.withLock { state in
            defer { state.pipe = -1 }
            return (state.process, state.pipe)
        }
        if pipe >= 0 { close(pipe) }
        guard let process else { return }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        state.withLock { $0.process = nil }
        if status != 0, !state.withLock({ $0.isStopped }) { fail("exited with an error") }
    }

    /// Records a failure; only the first is kept.
    private func fail(_ reason: String) {
        state.withLock { state in if state.failure == nil { state.failure = "\(program): \(reason)" } }
    }

    /// Returns the arguments with which the program plays raw samples from standard input; nil for an unsupported codec.
    private func arguments(_ format: AudioFormat) -> [String]? {
        let encodings: [AudioFormat.Codec: (pulse: String, alsa: String)] = [
            .pcm16: ("s16le", "S16_LE"), .mulaw: ("ulaw", "MU_LAW"), .alaw: ("alaw", "A_LAW"),
        ]
        guard let encoding = encodings[format.codec] else { return nil }
        guard program.hasSuffix("/paplay") else {
            return ["-q", "-t", "raw", "-f", encoding.alsa, "-r", "\(format.rate)", "-c", "\(format.channels)", "-"]
        }
        return ["--raw", "--format=\(encoding.pulse)", "--rate=\(format.rate)", "--channels=\(format.channels)"]
    }
}
