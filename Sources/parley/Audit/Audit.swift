// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayCore
import GatewayServer

/// `parley audit`: verifies the audit log.
struct Audit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Verify the audit log.", subcommands: [Verify.self])

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Find changed, removed, reordered and truncated records.",
            discussion: """
                Files of one chain are verified together, the oldest first. Records that were removed from the end of the newest file are \
                found only with --to-hash. A partial line at the end, which a crash can leave, isn't a record: the records before it are \
                verified.

                Exit status: 0 if all records are verified, 1 if a record was changed, removed or reordered, 3 if all records are \
                verified but a partial line follows them, 66 if a file can't be read.
                """)

        @Argument(help: ArgumentHelp("The audit files, the oldest first; - for standard input.", valueName: "file"))
        var files: [String]
        @Option(help: ArgumentHelp("The hash that the first record must name as its predecessor's.", valueName: "hash"))
        var fromHash: String?
        @Option(help: ArgumentHelp("The hash that a record must have.", valueName: "hash"))
        var toHash: String?

        /// The exit status when a partial line follows the last record.
        static let partialLine: Int32 = 3
        /// `EX_NOINPUT` of sysexits.h.
        static let cannotRead: Int32 = 66

        func run() throws {
            var verifier = AuditVerifier(
                from: try Self.digest(fromHash, of: "--from-hash"), to: try Self.digest(toHash, of: "--to-hash"), hash: AuditDigest.sha256)
            var partial = 0
            for (index, file) in files.enumerated() {
                do {
                    partial = try verifier.verify(file: file, isLast: index == files.count - 1)
                } catch {
                    FileHandle.standardError.write(Data("\(ClientText.safe(file)): \(error)\n".utf8))
                    throw ExitCode(Self.cannotRead)
                }
            }
            verifier.finish()
            report(verifier, partial: partial)
            if verifier.findingCount > 0 { throw ExitCode.failure }
            if partial > 0 { throw ExitCode(Self.partialLine) }
        }

        private func report(_ verifier: AuditVerifier, partial: Int) {
            for finding in verifier.findings { print(finding) }
            let more = verifier.findingCount - verifier.findings.count
            if more > 0 { print("and \(more) more") }
            guard let last = verifier.last else { return print(partial > 0 ? "no whole record" : "no records") }
            print(verifier.findingCount == 0 ? "\(verifier.records) records verified, up to record \(last.sequence)" : "not intact")
            if partial > 0 { print("\(partial) bytes after the last whole record are not a record") }
            if let start = verifier.start { print("follows hash \(start)") }
            print("last hash \(last.digest)")
        }

        private static func digest(_ text: String?, of option: String) throws -> AuditDigest? {
            guard let text else { return nil }
            guard let digest = AuditDigest(digits: Array(text.lowercased().utf8)) else {
                throw ValidationError("\(option) must be 64 hexadecimal digits")
            }
            return digest
        }
    }
}

extension AuditVerifier {
    /// Verifies the lines of a file. A partial line within the chain counts as a line.
    ///
    /// - Returns: the size of the partial line at its end, in bytes
    fileprivate mutating func verify(file: String, isLast: Bool) throws(AuditFault) -> Int {
        let descriptor = file == "-" ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .cannotRead(String(cString: strerror(errno))) }
        defer { if file != "-" { close(descriptor) } }
        var rest: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            let count = block.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .cannotRead(String(cString: strerror(errno))) }
            guard count > 0 else {
                guard !isLast, !rest.isEmpty else { return rest.count }
                verify(rest[...])
                return 0
            }
            rest += block[..<count]
            var start = 0
            while let feed = rest[start...].firstIndex(of: 0x0A) {
                verify(rest[start..<feed])
                start = feed + 1
            }
            rest.removeFirst(start)
            // No record is that long.
            if rest.count > 1 << 20 {
                verify(rest[...])
                rest = []
            }
        }
    }
}
