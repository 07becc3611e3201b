// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayTLS
import Glibc

extension SetupPlan {
    /// The effect of ``write(force:owner:now:)`` on one file.
    package enum Outcome: String, Sendable {
        case written, replaced, kept
    }

    /// Writes all files, or none if one of them exists.
    ///
    /// - Parameters:
    ///   - force: replaces texts that an earlier run wrote, and keeps existing secrets and certificates, whose loss would lock clients out.
    ///     Other files that exist are still an error.
    ///   - owner: the user and group that get all files; nil: the process's own
    ///   - now: seconds since 1970
    /// - Returns: the paths, relative to the directory, in the order of ``files``
    package func write(
        force: Bool, owner: (user: UInt32, group: UInt32)? = nil, now: Int64
    ) throws(SetupFault) -> [(path: String, outcome: Outcome)] {
        let existing = files.flatMap(\.paths).filter { isPresent($0) }
        let found = force ? files.flatMap { conflicts(of: $0) } : existing
        guard found.isEmpty else {
            throw .existing(found.map { "\(options.directory)/\($0)" }, isForced: force)
        }
        try makeDirectory(options.directory, mode: 0o755)
        for (path, mode) in Self.directories(of: files) {
            let directory = "\(options.directory)/\(path)"
            try makeDirectory(directory, mode: mode)
            if let owner { try give(directory, to: owner) }
        }
        var outcomes: [(path: String, outcome: Outcome)] = []
        for file in files {
            let isPresent = existing.contains(file.path)
            if !isPresent || file.isText {
                for (path, text, mode) in try contents(of: file, now: now) {
                    try write(text, to: "\(options.directory)/\(path)", mode: mode, owner: owner)
                }
            }
            let outcome: Outcome = !isPresent ? .written : file.isText ? .replaced : .kept
            for path in file.paths { outcomes.append((path, outcome)) }
        }
        return outcomes
    }

    // MARK: Conflicts

    private func isPresent(_ path: String) -> Bool {
        // Also true for a dangling link, through which a secret could be written elsewhere.
        faccessat(AT_FDCWD, "\(options.directory)/\(path)", F_OK, AT_SYMLINK_NOFOLLOW) == 0
    }

    /// Returns the paths of a file that even `--force` doesn't replace.
    private func conflicts(of file: File) -> [String] {
        let present = file.paths.filter { isPresent($0) }
        switch file.content {
        case .secret: return []
        // A certificate without its key, or a key without its certificate, can neither be kept nor completed.
        case .certificate: return present.count == file.paths.count ? [] : present
        case .text: return present.filter { !hasMark("\(options.directory)/\($0)") }
        }
    }

    private func hasMark(_ path: String) -> Bool {
        guard case .bytes(let bytes) = BoundedFile.read(path, limit: 1 << 20) else { return false }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n", maxSplits: 3).prefix(3).contains { $0.hasPrefix(Self.mark) }
    }

    // MARK: Contents

    private func contents(of file: File, now: Int64) throws(SetupFault) -> [(path: String, text: String, mode: UInt32)] {
        switch file.content {
        case .text(let text): return [(file.path, text, file.mode)]
        case .secret: return [(file.path, Self.randomSecret() + "\n", file.mode)]
        case .certificate(let names, let keyFile):
            do throws(TLSConfigurationError) {
                let (certificate, key) = try SelfSignedCertificate.create(names: names, days: Self.certificateDays, now: now)
                return [(keyFile, key, Self.secretMode), (file.path, certificate, file.mode)]
            } catch {
                throw .certificate("\(error)")
            }
        }
    }

    /// Returns 32 random bytes in base64url (RFC 4648 §5), without padding.
    private static func randomSecret() -> String {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        return Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    // MARK: Files

    /// Creates a directory unless it exists; the permissions of an existing one stay as they are.
    private func makeDirectory(_ path: String, mode: UInt32) throws(SetupFault) {
        if FileMode(of: path)?.isDirectory == true { return }
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: NSNumber(value: mode)])
        } catch {
            throw .unwritable(path, "the directory can't be created")
        }
    }

    /// Writes a file that has its permissions and owner before its content, and replaces an older one in one step.
    private func write(_ text: String, to path: String, mode: UInt32, owner: (user: UInt32, group: UInt32)?) throws(SetupFault) {
        let temporary = path + "." + String(UInt64.random(in: 0 ... .max), radix: 36)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw Self.unwritable(path) }
        do throws(SetupFault) {
            defer { close(descriptor) }
            if let owner, fchown(descriptor, owner.user, owner.group) != 0 { throw Self.unwritable(path) }
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw Self.unwritable(path) }
                rest = rest.dropFirst(count)
            }
            guard fsync(descriptor) == 0 else { throw Self.unwritable(path) }
        } catch {
            unlink(temporary)
            throw error
        }
        guard rename(temporary, path) == 0 else {
            let fault = Self.unwritable(path)
            unlink(temporary)
            throw fault
        }
    }

    private func give(_ path: String, to owner: (user: UInt32, group: UInt32)) throws(SetupFault) {
        guard lchown(path, owner.user, owner.group) == 0 else { throw Self.unwritable(path) }
    }

    private static func unwritable(_ path: String) -> SetupFault { .unwritable(path, String(cString: strerror(errno))) }
}

extension SetupPlan.File {
    /// The paths that the file stands for: a certificate has a key beside it.
    var paths: [String] {
        if case .certificate(_, let keyFile) = content { return [path, keyFile] }
        return [path]
    }

    var isText: Bool {
        if case .text = content { return true }
        return false
    }
}
