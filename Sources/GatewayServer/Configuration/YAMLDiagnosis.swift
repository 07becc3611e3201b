// SPDX-License-Identifier: Apache-2.0

/// The explanation of a YAML syntax error, with its line.
///
/// The parser's messages ("did not find expected key") state what its grammar expected, which is seldom the mistake. Nearly all mistakes are
/// wrong indentation, or brackets and quotes that aren't closed.
struct YAMLDiagnosis: Equatable {
    /// The line number, counted from 1.
    var line: Int
    var text: String

    /// Finds the likely mistake behind a parser's error.
    ///
    /// - Parameters:
    ///   - problem: the parser's message
    ///   - line: the line of the error, counted from 1; the mistake is in that line or before it
    init(in yaml: String, problem: String, line: Int) {
        let lines = yaml.split(separator: "\n", omittingEmptySubsequences: false).prefix(max(line, 1))
        if let number = Self.tab(in: lines) {
            self.init(line: number, text: "a tab at the beginning of the line; YAML is indented with spaces")
        } else if let (number, text) = Self.indentation(in: lines) {
            self.init(line: number, text: text)
        } else if let (opening, mark) = Self.unclosed(in: yaml) {
            let closing = mark == "[" ? "]" : mark == "{" ? "}" : String(mark)
            self.init(line: line, text: "the \(mark) in line \(opening) isn't closed with \(closing)")
        } else {
            self.init(line: line, text: Self.explanation(for: problem))
        }
    }

    private init(line: Int, text: String) {
        self.line = line
        self.text = text
    }

    private static func tab(in lines: ArraySlice<Substring>) -> Int? {
        lines.firstIndex { line in
            let blank = line.prefix { $0 == " " || $0 == "\t" }
            return blank.contains("\t") && blank.count < line.count && line.dropFirst(blank.count).first != "#"
        }
        .map { $0 + 1 }
    }

    /// A line that sets a key.
    private struct Entry {
        var line: Int
        var indent: Int
        /// Whether the value may be on the following lines.
        var isOpen: Bool

        /// Returns nil for other lines: empty, a comment, a list entry, a part of a multi-line value.
        init?(_ text: Substring, line: Int) {
            let bare = text.drop { $0 == " " }
            guard let first = bare.first, !"#-[{]}\"'|>&*!%@`".contains(first), let colon = bare.firstIndex(of: ":") else { return nil }
            let value = bare[bare.index(after: colon)...]
            guard value.isEmpty || value.first == " " || value.first == "\r", !bare[..<colon].contains(" ") else { return nil }
            let content = value.drop { $0 == " " || $0 == "\r" }
            self.line = line
            indent = text.count - bare.count
            isOpen = content.isEmpty || "#|>&![{\"'".contains(content.first ?? "#")
        }
    }

    private static func indentation(in lines: ArraySlice<Substring>) -> (line: Int, text: String)? {
        var open: [Entry] = []
        for (index, text) in lines.enumerated() {
            guard let entry = Entry(text, line: index + 1) else { continue }
            var closed: Entry?
            while let last = open.last, last.indent > entry.indent { closed = open.removeLast() }
            if let last = open.last, last.indent == entry.indent {
                open[open.count - 1] = entry
                continue
            }
            if let closed {
                return (entry.line, "the line is indented differently from line \(closed.line)")
            }
            if let last = open.last, !last.isOpen {
                return (entry.line, "the line is indented differently from line \(last.line), which has a value and so no keys below it")
            }
            open.append(entry)
        }
        return nil
    }

    /// Returns the last bracket or quote that is opened at the beginning of a value and isn't closed before the end of the text.
    private static func unclosed(in yaml: String) -> (line: Int, mark: Character)? {
        var open: [(line: Int, mark: Character)] = []
        for (index, text) in yaml.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            // A value may begin at the beginning of a line and after a separator.
            var mayBegin = true
            var before: Character = " "
            for character in text {
                if let last = open.last, last.mark == "\"" || last.mark == "'" {
                    if character == last.mark, before != "\\" || last.mark == "'" { open.removeLast() }
                } else if character == "#", before == " " {
                    break
                } else if mayBegin, "[{\"'".contains(character) {
                    open.append((index + 1, character))
                } else if let last = open.last, character == (last.mark == "[" ? "]" : "}") {
                    open.removeLast()
                }
                if character != " " { mayBegin = "[{,:-".contains(character) }
                before = character
            }
        }
        return open.last
    }

    private static func explanation(for problem: String) -> String {
        let table = [
            ("mapping values are not allowed", "a second \": \" in the line; a value that contains one needs quotes"),
            ("expected ',' or ']'", "a [ isn't closed with ]"), ("expected ',' or '}'", "a { isn't closed with }"),
            ("unexpected end of stream", "a quote isn't closed"), ("unexpected document indicator", "a quote isn't closed before ---"),
            ("could not find expected ':'", "the line isn't a key followed by a colon and a space"),
            ("did not find expected key", "the line doesn't fit the lines before it; check its indentation, and look for a missing colon"),
            ("character that cannot start any token", "the value begins with a reserved character and needs quotes"),
            ("undefined alias", "a value that begins with * needs quotes"),
            ("unknown escape character", "a \\ within double quotes has to be doubled"),
            ("expected alphabetic or numeric character", "a value that begins with * or & needs quotes"),
            ("expected a single document", "--- begins a second document; only one is allowed"),
            ("expected <document start>", "there is text after the end of the document"),
            ("block sequence entries are not allowed", "a list entry isn't allowed here; begin the list on its own line"),
        ]
        return table.first { problem.contains($0.0) }?.1 ?? problem
    }
}
