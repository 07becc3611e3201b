// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// The `openssl` command, an independent client.
enum OpenSSLCommand {
    struct Result: Sendable {
        var status: Int32
        /// The combined standard output and standard error.
        var output: String
    }

    /// Runs the command until it exits, with `input` on its standard input. Fails the test unless the command succeeds or may fail.
    @discardableResult
    static func run(_ arguments: [String], input: String = "", mayFail: Bool = false) throws -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        let standardInput = Foundation.Pipe()
        let output = Foundation.Pipe()
        process.standardInput = standardInput
        process.standardOutput = output
        process.standardError = output
        try process.run()
        // A client that waits indefinitely must not block the tests.
        let watchdog = DispatchWorkItem { process.terminate() }
        DispatchQueue.global().asyncAfter(deadline: .now() + 30, execute: watchdog)
        defer { watchdog.cancel() }
        // A rejected client may already have closed its standard input.
        try? standardInput.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try? standardInput.fileHandleForWriting.close()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        if !mayFail { #expect(process.terminationStatus == 0, "\(arguments.joined(separator: " ")): \(text)") }
        return Result(status: process.terminationStatus, output: text)
    }

    /// Opens a TLS connection to a local port, sends `input`, and receives until the server closes. With `interpretsCommands` a line may be a
    /// command, such as `R`, and the end of input closes the connection.
    static func connect(
        _ port: Int, _ arguments: [String], input: String = "bye\n", interpretsCommands: Bool = false, mayFail: Bool = false
    ) throws -> Result {
        try run(
            ["s_client", "-connect", "127.0.0.1:\(port)"] + (interpretsCommands ? [] : ["-ign_eof"]) + arguments, input: input,
            mayFail: mayFail)
    }
}
