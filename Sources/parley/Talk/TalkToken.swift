// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// The token that `parley talk` presents, from its arguments, a file or standard input. Never from the environment, which is the gateway's.
enum TalkToken {
    /// The maximum size of a token, as in the gateway.
    private static let limit = 8192

    /// Reads the token of `--token TOKEN|@FILE|-` or `--token-file FILE|-`; nil if neither is given.
    ///
    /// With `-`, the first line of standard input is the token, and later lines are texts.
    ///
    /// - Throws: `ValidationError`, which never contains the token.
    static func read(token: String?, file: String?) throws -> String? {
        switch (token, file) {
        case (nil, nil): return nil
        case (_?, _?): throw ValidationError("--token and --token-file can't be combined")
        case ("-"?, nil), (nil, "-"?): return try checked(firstLine(of: STDIN_FILENO), source: "standard input")
        case (nil, let path?): return try read(path)
        case (let token?, nil):
            if token.hasPrefix("@") { return try read(String(token.dropFirst())) }
            return try checked(token, source: "--token")
        }
    }

    private static func read(_ path: String) throws -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ValidationError("\(path): \(Descriptor.text(errno))") }
        defer { close(descriptor) }
        return try checked(firstLine(of: descriptor), source: path)
    }

    /// Reads byte by byte, so that the lines after the first one stay unread.
    private static func firstLine(of descriptor: Int32) -> String {
        var line: [UInt8] = []
        while line.count <= limit, let byte = Descriptor.read(descriptor, upTo: 1).first, byte != UInt8(ascii: "\n") {
            line.append(byte)
        }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return String(decoding: line, as: UTF8.self)
    }

    private static func checked(_ token: String, source: String) throws -> String {
        guard !token.isEmpty else { throw ValidationError("\(source): the token is empty") }
        guard token.utf8.count <= limit, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw ValidationError("\(source): a token consists of at most \(limit) printable ASCII characters without spaces")
        }
        return token
    }
}
