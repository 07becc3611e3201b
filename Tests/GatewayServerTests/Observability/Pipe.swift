// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A pipe: the log writes to `input`, the test reads from `output`. Blocking, with the kernel's smallest buffer.
final class Pipe {
    /// The number of bytes that can be written before a write blocks.
    static let capacity = 4096

    private(set) var output: Int32
    private(set) var input: Int32
    private var unread: [UInt8] = []

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw PipeError() }
        self.output = ends[0]
        self.input = ends[1]
        // 1031 is F_SETPIPE_SZ, a macro that Swift doesn't see.
        guard fcntl(input, 1031, Int32(Self.capacity)) == Self.capacity else { throw PipeError() }
    }

    /// Creates a pipe from open descriptors; `input` can be -1.
    init(output: Int32, input: Int32) {
        self.output = output
        self.input = input
    }

    deinit {
        closeOutput()
        closeInput()
    }

    func closeOutput() {
        if output >= 0 { close(output) }
        output = -1
    }

    func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// Waits for the next line and returns it without its line feed; returns nil at the end, or after a minute.
    func readLine() -> String? {
        while true {
            if let end = unread.firstIndex(of: 0x0A) {
                let line = String(decoding: unread[..<end], as: UTF8.self)
                unread.removeSubrange(...end)
                return line
            }
            guard readSome() else { return nil }
        }
    }

    /// Waits for bytes, reads at most `count` of them, and keeps them for ``readLine()``. Returns false at the end, or after a minute.
    @discardableResult
    func readSome(_ count: Int = 65_536) -> Bool {
        var waits = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
        guard poll(&waits, 1, 60_000) == 1 else { return false }
        var bytes = [UInt8](repeating: 0, count: count)
        let result = read(output, &bytes, count)
        guard result > 0 else { return false }
        unread.append(contentsOf: bytes[..<result])
        return true
    }
}

struct PipeError: Error {}
