// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension PEMFile {
    /// Replaces a file atomically: writes a temporary file with a unique name and the final permissions from the first byte on, and renames
    /// it. Creates the directory (mode 0700) if missing.
    static func write(_ text: String, to path: String, permissions: mode_t) throws(TLSConfigurationError) {
        do {
            let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
            if !directory.isEmpty {
                try FileManager.default.createDirectory(
                    atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            }
        } catch {
            throw TLSConfigurationError(path: path, .unwritable("its directory can't be created"))
        }
        let temporary = path + "." + String(UInt64.random(in: 0 ... .max), radix: 36)
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, permissions)
        guard file >= 0 else { throw unwritable(path) }
        do throws(TLSConfigurationError) {
            defer { close(file) }
            try write(Array(text.utf8), to: file, path)
            guard fsync(file) == 0 else { throw unwritable(path) }
        } catch {
            unlink(temporary)
            throw error
        }
        guard rename(temporary, path) == 0 else {
            let error = unwritable(path)
            unlink(temporary)
            throw error
        }
    }

    private static func write(_ bytes: [UInt8], to file: Int32, _ path: String) throws(TLSConfigurationError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { bytes in
                #if canImport(Glibc)
                Glibc.write(file, bytes.baseAddress, bytes.count)
                #else
                Musl.write(file, bytes.baseAddress, bytes.count)
                #endif
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw unwritable(path) }
            rest = rest.dropFirst(count)
        }
    }

    private static func unwritable(_ path: String) -> TLSConfigurationError {
        TLSConfigurationError(path: path, .unwritable(strerror(errno).map { String(cString: $0) } ?? "error \(errno)"))
    }
}
