// SPDX-License-Identifier: Apache-2.0

/// Cells of CSV (RFC 4180).
enum CSVCell {
    /// Returns a quoted cell, which begins with an apostrophe if a spreadsheet could parse it as a formula. Characters that spreadsheets
    /// ignore at the beginning of a formula are ignored here, too.
    static func text(_ text: String) -> String {
        var cell = "\""
        let first = text.unicodeScalars.first { !$0.properties.isWhitespace && !$0.properties.isDefaultIgnorableCodePoint }
        let begins = text.unicodeScalars.first
        if let first, "=+-@＝＋－＠".unicodeScalars.contains(first) || begins == "\t" || begins == "\r" || begins == "\n" { cell += "'" }
        for scalar in text.unicodeScalars {
            if scalar == "\"" { cell += "\"" }
            cell.unicodeScalars.append(scalar)
        }
        return cell + "\""
    }
}
