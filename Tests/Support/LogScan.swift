// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// The search for secrets and message texts in everything that gateways under test write: no log line may contain a token, a key, a
/// secret or a text.
///
/// Tests register what they send, in passing: ``TestToken`` its tokens, ``TestWebSocket`` resume tokens and texts, ``GatewayProcess`` the
/// secrets among its flags. A finding fails the test process, whichever test caused it.
package enum LogScan {
    private struct State {
        /// Tokens and other secrets that are one word.
        var words: Set<String> = []
        /// Secrets and texts with other characters.
        var texts: [String] = []
        var lines = 0
        var isReporting = false
    }

    private static let state = Mutex(State())
    /// Shorter strings could occur in a line by chance.
    private static let shortest = 16
    /// The maximum number of texts that each line is searched for.
    private static let maximumTexts = 256

    package static func register(_ secret: String) {
        guard secret.utf8.count >= shortest else { return }
        state.withLock { state in
            if secret.utf8.allSatisfy(isWordByte) {
                state.words.insert(secret)
            } else if state.texts.count < maximumTexts, !state.texts.contains(secret) {
                state.texts.append(secret)
            }
        }
    }

    /// Searches a line, and reports a finding.
    static func inspect(_ line: String) {
        let found: String? = state.withLock { state in
            state.lines += 1
            if !state.isReporting {
                state.isReporting = true
                atexit { LogScan.report() }
            }
            if let text = state.texts.first(where: { line.contains($0) }) { return text }
            // A JWT that no test has registered begins with an encoded `{"`.
            return words(in: line).first { state.words.contains($0) || $0.hasPrefix("eyJ") && $0.contains(".") }
        }
        guard let found else { return }
        findings.withLock { $0.append("\(found.prefix(12))… in: \(line.prefix(300))") }
    }

    private static let findings = Mutex<[String]>([])

    /// Fails the process if there are findings. Runs at its exit, after all tests.
    private static func report() {
        let all = findings.withLock { $0 }
        guard !all.isEmpty else { return }
        for finding in all.prefix(10) { FileHandle.standardError.write(Data("log scan: recorded an issue: \(finding)\n".utf8)) }
        _exit(1)
    }

    private static func words(in line: String) -> [String] {
        line.utf8.split { !isWordByte($0) }.filter { $0.count >= shortest }.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "-_.~+/=".utf8.contains(byte)
        }
    }
}
