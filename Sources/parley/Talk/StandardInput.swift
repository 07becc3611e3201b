// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayServer
import ParleyClient

/// Reads standard input line by line, on a dedicated thread, one line per request. Lines may have any length.
final class StandardInput: Sendable {
    static var isTerminal: Bool { isatty(STDIN_FILENO) == 1 }

    private let permits = DispatchSemaphore(value: 0)

    init(into inserter: EventInserter) {
        let permits = permits
        let thread = Thread {
            var lines = InputLines()
            while true {
                permits.wait()
                while !lines.hasLine, !lines.isEnded {
                    guard Self.waitForInput() else { return inserter.insert(.outputClosed) }
                    lines.append(Descriptor.read(STDIN_FILENO))
                }
                guard let line = lines.next() else { return inserter.insert(.endOfInput) }
                inserter.insert(.line(line))
            }
        }
        thread.name = "standard input"
        thread.start()
    }

    func requestLine() {
        permits.signal()
    }

    /// Waits until standard input is readable. Standard output is polled as well, because without a write a closed pipe would go unnoticed.
    ///
    /// - Returns: false if the reader of standard output has closed the pipe
    private static func waitForInput() -> Bool {
        var polled = [
            pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0),
            pollfd(fd: isatty(STDOUT_FILENO) == 1 ? -1 : STDOUT_FILENO, events: 0, revents: 0),
        ]
        while poll(&polled, 2, -1) < 0, errno == EINTR {}
        return polled[1].revents & Int16(POLLERR | POLLHUP) == 0
    }
}

/// Splits bytes into lines. The last line may lack its line feed.
struct InputLines {
    private var bytes: [UInt8] = []
    private var start = 0
    /// The index up to which no line feed was found.
    private var searched = 0
    private var end: Int?
    private(set) var isEnded = false

    var hasLine: Bool { end != nil }

    /// - Parameter part: empty at the end of input
    mutating func append(_ part: [UInt8]) {
        guard !part.isEmpty else { return isEnded = true }
        if start > 0 {
            bytes.removeFirst(start)
            searched -= start
            start = 0
        }
        bytes += part
        search()
    }

    /// Returns the next complete line; nil if more input is needed, or at the end of input.
    mutating func next() -> String? {
        if let end {
            let line = bytes[start..<end]
            start = end + 1
            searched = start
            search()
            return String(decoding: line.last == 0x0D ? line.dropLast() : line, as: UTF8.self)
        }
        guard isEnded, start < bytes.count else { return nil }
        defer { start = bytes.count }
        return String(decoding: bytes[start...], as: UTF8.self)
    }

    private mutating func search() {
        end = bytes[searched...].firstIndex(of: 0x0A)
        searched = end ?? bytes.count
    }
}
