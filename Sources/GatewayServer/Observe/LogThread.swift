import Glibc

/// The thread behind a ``LogWriter``: takes batches of lines and pushes them into the descriptor.
final class LogThread: Sendable {
    private let queue: LogQueue
    private let fileDescriptor: Int32
    private let notice: @Sendable (UInt64) -> [UInt8]

    init(queue: LogQueue, fileDescriptor: Int32, notice: @escaping @Sendable (UInt64) -> [UInt8]) {
        self.queue = queue
        self.fileDescriptor = fileDescriptor
        self.notice = notice
    }

    /// False when the system has no thread left to give.
    func start() -> Bool {
        let argument = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<LogThread>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        guard result == 0 else {
            argument.release()
            return false
        }
        pthread_detach(thread)
        return true
    }

    private func run() {
        // Signals belong to the program's other threads; above all a closed pipe must be an error of `write`, not SIGPIPE.
        var signals = sigset_t()
        sigfillset(&signals)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        var buffer: [UInt8] = []
        var isTorn = false
        while let batch = queue.take(into: &buffer) {
            if isTorn {
                // An earlier write stopped within a line: end it, so that it spoils no other.
                isTorn = write([0x0A]) == 0
            }
            var lost = batch.lines
            var unreported = batch.dropped
            if !isTorn {
                let written = write(buffer)
                isTorn = written > 0 && buffer[written - 1] != 0x0A
                lost = written == buffer.count ? 0 : buffer[written...].count { $0 == 0x0A }
                if lost == 0, batch.dropped > 0 {
                    let line = notice(batch.dropped)
                    let written = write(line)
                    isTorn = written > 0 && written < line.count
                    unreported = written == line.count ? 0 : batch.dropped
                }
            }
            queue.finish(batch, lost: lost, unreported: unreported)
        }
        queue.finished()
    }

    /// Writes all, waiting as long as the descriptor wants it. Returns how many bytes went out before an error that waiting doesn't mend.
    private func write(_ bytes: [UInt8]) -> Int {
        var offset = 0
        while offset < bytes.count {
            let result = bytes.withUnsafeBytes { buffer in
                Glibc.write(fileDescriptor, buffer.baseAddress?.advanced(by: offset), buffer.count - offset)
            }
            if result > 0 {
                offset += result
                continue
            }
            switch result == 0 ? EAGAIN : errno {
            case EINTR: continue
            case EAGAIN:
                // Somebody else made the descriptor non-blocking: wait here, where it holds up nobody.
                var poll = pollfd(fd: fileDescriptor, events: Int16(POLLOUT), revents: 0)
                guard Glibc.poll(&poll, 1, -1) >= 0 || errno == EINTR else { return offset }
            default: return offset
            }
        }
        return offset
    }
}
