// SPDX-License-Identifier: Apache-2.0

/// Suggests the known name that a misspelled name probably stands for.
package enum NameSuggestion {
    /// Returns the candidate with the fewest edits from `name`, if they are few enough for a typo: at most a third of the name's length.
    /// Else returns the only candidate with the same last part: `messages.max_depth` for `limits.max_depth`.
    package static func of(_ name: String, among candidates: [String], separator: Character = ".") -> String? {
        let nearest = candidates.map { (name: $0, distance: distance(name, $0)) }.min { $0.distance < $1.distance }
        if let nearest, nearest.distance <= max(2, name.utf8.count / 3), nearest.distance < nearest.name.utf8.count { return nearest.name }
        guard let last = name.split(separator: separator).last else { return nil }
        let namesakes = candidates.filter { $0.split(separator: separator).last == last }
        return namesakes.count == 1 ? namesakes.first : nil
    }

    /// Returns the number of insertions, deletions, substitutions and transpositions between two names (optimal string alignment distance).
    /// For names longer than 128 bytes it returns the maximum.
    static func distance(_ first: String, _ second: String) -> Int {
        let a = Array(first.utf8)
        let b = Array(second.utf8)
        guard a.count <= 128, b.count <= 128 else { return .max }
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for i in 0..<a.count {
            var row = [i + 1]
            for j in 0..<b.count {
                var best = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, beforeLast[j - 1] + 1) }
                row.append(best)
            }
            beforeLast = last
            last = row
        }
        return last[b.count]
    }
}
