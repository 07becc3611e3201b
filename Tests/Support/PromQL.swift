// SPDX-License-Identifier: Apache-2.0

/// The names in an expression of PromQL.
package enum PromQL {
    private static let words: Set<String> = [
        "and", "or", "unless", "on", "ignoring", "by", "without", "group_left", "group_right", "bool", "offset", "inf", "nan",
    ]

    /// Returns the names of the metrics that an expression selects. Functions, label names and strings aren't metrics.
    package static func metrics(in expression: String) -> Set<String> {
        var result: Set<String> = []
        var rest = expression[...]
        // Brackets whose contents are labels or durations: {…}, […], and the parentheses after by, on, ignoring and without.
        while let first = rest.first {
            if first == "{" || first == "[" {
                rest = rest.drop { $0 != (first == "{" ? "}" : "]") }
            } else if first == "\"" {
                rest = rest.dropFirst().drop { $0 != "\"" }.dropFirst()
            } else if first.isNumber || first == "." {
                rest = rest.drop { $0.isNumber || $0.isLetter || $0 == "." }
            } else if first.isLetter || first == "_" || first == ":" {
                let name = String(rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == ":" })
                rest = rest.dropFirst(name.count)
                let next = rest.drop { $0.isWhitespace }
                if words.contains(name) {
                    if next.first == "(", ["by", "on", "ignoring", "without", "group_left", "group_right"].contains(name) {
                        rest = next.drop { $0 != ")" }
                    }
                } else if next.first != "(", !next.hasPrefix("by"), !next.hasPrefix("without") {
                    result.insert(name)
                }
            } else {
                rest = rest.dropFirst()
            }
        }
        return result
    }
}
