// SPDX-License-Identifier: Apache-2.0

/// Previously entered lines, newest last. Bounded in lines and bytes; consecutive duplicates are dropped.
package struct LineHistory: Sendable {
    package static let maximumLines = 1000
    package static let maximumBytes = 1 << 20

    package private(set) var lines: [String] = []
    private var bytes = 0

    package init() {}

    package mutating func append(_ line: String) {
        let count = line.utf8.count
        guard !line.isEmpty, line != lines.last, count <= Self.maximumBytes else { return }
        lines.append(line)
        bytes += count
        var dropped = 0
        while lines.count - dropped > Self.maximumLines || bytes > Self.maximumBytes {
            bytes -= lines[dropped].utf8.count
            dropped += 1
        }
        lines.removeFirst(dropped)
    }

    // MARK: As a file

    /// Parses the contents of a history file: one entry per line, with line feeds and backslashes escaped.
    package init(file text: String) {
        for line in text.split(separator: "\n") { append(Self.unescaped(line)) }
    }

    /// The contents of the history file.
    package var file: String { lines.map { Self.escaped($0) + "\n" }.joined() }

    private static func escaped(_ line: String) -> String {
        line.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    }

    private static func unescaped(_ line: Substring) -> String {
        var result = ""
        var isEscaped = false
        for scalar in line.unicodeScalars {
            if isEscaped {
                result.unicodeScalars.append(scalar == "n" ? "\n" : scalar)
                isEscaped = false
            } else if scalar == "\\" {
                isEscaped = true
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
