import Foundation
import Testing

/// The `openssl` command: a client that wasn't written here.
enum OpenSSLCommand {
    struct Result: Sendable {
        var status: Int32
        /// Standard output and standard error together.
        var output: String
    }

    /// Runs the command to its end, with `input` on its standard input. Fails the test unless it succeeds or may fail.
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
        // A client that waits for what never comes must not hold up the tests for ever.
        let watchdog = DispatchWorkItem { process.terminate() }
        DispatchQueue.global().asyncAfter(deadline: .now() + 30, execute: watchdog)
        defer { watchdog.cancel() }
        // A client that was refused may have stopped listening already.
        try? standardInput.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try? standardInput.fileHandleForWriting.close()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        if !mayFail { #expect(process.terminationStatus == 0, "\(arguments.joined(separator: " ")): \(text)") }
        return Result(status: process.terminationStatus, output: text)
    }

    /// A TLS connection to a port of this machine: says `input`, and listens until the server closes. With `obeysInput` a line may be a
    /// command, such as `R`, and the end of input is the end.
    static func connect(
        _ port: Int, _ arguments: [String], input: String = "bye\n", obeysInput: Bool = false, mayFail: Bool = false
    ) throws -> Result {
        try run(
            ["s_client", "-connect", "127.0.0.1:\(port)"] + (obeysInput ? [] : ["-ign_eof"]) + arguments, input: input, mayFail: mayFail)
    }
}
