// SPDX-License-Identifier: Apache-2.0

/// Abbreviations, initials and ordinals: words whose full stop doesn't necessarily end a sentence.
enum Abbreviations {
    enum Classification {
        /// Not an abbreviation: the full stop ends the sentence.
        case none
        /// The full stop ends the sentence unless a lowercase letter or a digit follows.
        case unlessWordFollows
        /// The full stop never ends the sentence.
        case never
    }

    /// Abbreviations before a name or a number, which rarely end a sentence.
    private static let titles: Set<String> = [
        "mr", "mrs", "ms", "mx", "dr", "prof", "st", "sr", "sra", "srta", "dra", "jr", "rev", "hon", "gen", "col", "capt", "lt", "sgt",
        "gov",
        "sen", "rep", "pres", "messrs", "mme", "mlle", "vs", "hr", "fr", "nr", "str", "bzw", "ca", "ggf", "evtl", "vgl", "inkl", "zzgl",
        "bspw",
        "dhr", "mevr", "bijv", "sig", "dott", "ing", "np", "ul", "ud", "uds", "д-р", "г-н", "ул", "им", "см",
    ]
    private static let others: Set<String> = [
        "etc", "no", "nos", "vol", "fig", "figs", "approx", "dept", "est", "inc", "ltd", "co", "corp", "min", "max", "ed", "eds", "pp",
        "ch",
        "sec", "art", "al", "cf", "ave", "blvd", "rd", "mt", "ft", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct",
        "nov", "dec", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "usw", "abs", "tel", "mind", "руб", "тыс", "млн", "млрд",
    ]
    /// Words that precede an ordinal in languages that write ordinals with a full stop.
    private static let ordinalWords: Set<String> = [
        "am", "im", "der", "die", "das", "dem", "den", "des", "vom", "zum", "zur", "bis", "ab", "seit", "de", "d", "dne", "dnia", "í",
    ]
    /// The maximum length of an abbreviation in scalars.
    private static let longest = 16

    /// Classifies a full stop.
    ///
    /// - Parameters:
    ///   - dot: the index of the full stop
    ///   - start: the start of the sentence
    static func classify(_ text: [UInt8], dot: Int, from start: Int) -> Classification {
        var word: [Unicode.Scalar] = []
        var index = dot
        while let (scalar, begin) = text.scalar(before: index, from: start), scalar.isWordPart || [".", "-", ",", ":"].contains(scalar) {
            word.append(scalar)
            guard word.count <= longest else { return .none }
            index = begin
        }
        // Two full stops in a row are an ellipsis.
        guard let last = word.first, last != "." else { return .none }
        let letters = word.split(separator: ".")
        if letters.count > 1 {
            // Matches e.g., p.m. and z.B., but neither example.com nor 3.14.
            return letters.allSatisfy { $0.count <= 2 && $0.allSatisfy(\.properties.isAlphabetic) } ? .never : .none
        }
        if word.allSatisfy({ $0.properties.numericType != nil }) {
            return word.count <= 2 ? classifyNumber(before: index, in: text, from: start) : .none
        }
        // A single letter with case is an initial.
        if word.count == 1 { return last.properties.isCased ? .never : .none }
        let text = String(String.UnicodeScalarView(word.reversed())).lowercased()
        if titles.contains(text) { return .never }
        return others.contains(text) ? .unlessWordFollows : .none
    }

    /// Classifies the full stop after a number of one or two digits, such as the "1." of a list or an ordinal as in "am 3. Oktober".
    private static func classifyNumber(before index: Int, in text: [UInt8], from start: Int) -> Classification {
        guard let (space, end) = text.scalar(before: index, from: start), space != "\n" else { return .never }
        var word: [Unicode.Scalar] = []
        var index = end
        while let (scalar, begin) = text.scalar(before: index, from: start), scalar.isWordPart, word.count <= longest {
            word.append(scalar)
            index = begin
        }
        let name = String(String.UnicodeScalarView(word.reversed())).lowercased()
        return ordinalWords.contains(name) ? .never : .unlessWordFollows
    }
}
