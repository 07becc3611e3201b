// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// The resident memory of the process.
enum ResidentMemory {
    /// The size in bytes (proc_pid_statm(5)); nil without `/proc`. Must not be read on an event loop.
    static var bytes: Int? {
        let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = read(file, &buffer, buffer.count)
        // Two numbers in pages: the virtual and the resident size.
        let fields = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return nil }
        return pages * Int(parley_page_size())
    }
}
