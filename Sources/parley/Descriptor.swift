// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Blocking reads and writes of file descriptors; they retry after EINTR and wait after EAGAIN.
enum Descriptor {
    /// Opens `/dev/null` for each of the descriptors 0, 1 and 2 that is closed, so that no socket becomes standard output.
    static func ensureStandard() {
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) < 0 {
            // `open` returns the lowest free number, which is this one.
            _ = open("/dev/null", O_RDWR)
        }
    }

    /// Writes all bytes.
    ///
    /// - Returns: the `errno` value of a failure; nil for success
    static func write(_ bytes: some Collection<UInt8>, to descriptor: Int32) -> Int32? {
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                rest = rest.dropFirst(count)
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                var polled = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&polled, 1, -1)
            case let number: return number
            }
        }
        return nil
    }

    /// Writes all bytes at `offset`, which may lie beyond the end of the file.
    ///
    /// - Returns: the `errno` value of a failure; nil for success
    static func write(_ bytes: [UInt8], to descriptor: Int32, at offset: Int) -> Int32? {
        var rest = bytes[...]
        while !rest.isEmpty {
            let position = offset + bytes.count - rest.count
            let count = rest.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(position)) }
            guard count > 0 || count < 0 && errno == EINTR else { return count == 0 ? ENOSPC : errno }
            rest = rest.dropFirst(max(0, count))
        }
        return nil
    }

    /// Reads at most `limit` bytes, as soon as some are available; returns an empty array at the end of input and after an error.
    static func read(_ descriptor: Int32, upTo limit: Int = 65_536) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: limit)
        while true {
            let count = Foundation.read(descriptor, &buffer, limit)
            if count >= 0 { return Array(buffer.prefix(count)) }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                _ = poll(&polled, 1, -1)
            default: return []
            }
        }
    }

    /// Returns the system's message for an `errno` value.
    static func text(_ number: Int32) -> String { String(cString: strerror(number)) }
}
