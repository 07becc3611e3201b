/// Words that a full stop is part of.
enum Abbreviations {
    enum Verdict {
        /// The full stop ends a sentence.
        case none
        /// It ends one unless a small letter or a digit follows.
        case unlessWordFollows
        case never
    }

    /// Before a name or a number, so that a sentence hardly ever ends with one.
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
    /// Words before an ordinal of a language that writes it with a full stop.
    private static let ordinalWords: Set<String> = [
        "am", "im", "der", "die", "das", "dem", "den", "des", "vom", "zum", "zur", "bis", "ab", "seit", "de", "d", "dne", "dnia", "í",
    ]
    /// In scalars.
    private static let longest = 16

    /// - Parameters:
    ///   - dot: where the full stop is
    ///   - start: where the sentence begins
    static func judge(_ text: [UInt8], dot: Int, from start: Int) -> Verdict {
        var word: [Unicode.Scalar] = []
        var index = dot
        while let (scalar, begin) = text.scalar(before: index, from: start), scalar.isWordPart || [".", "-", ",", ":"].contains(scalar) {
            word.append(scalar)
            guard word.count <= longest else { return .none }
            index = begin
        }
        // An ellipsis.
        guard let last = word.first, last != "." else { return .none }
        let letters = word.split(separator: ".")
        if letters.count > 1 {
            // e.g., p.m., z.B., but neither example.com nor 3.14
            return letters.allSatisfy { $0.count <= 2 && $0.allSatisfy(\.properties.isAlphabetic) } ? .never : .none
        }
        if word.allSatisfy({ $0.properties.numericType != nil }) {
            return word.count <= 2 ? judgeNumber(before: index, in: text, from: start) : .none
        }
        // An initial.
        if word.count == 1 { return last.properties.isCased ? .never : .none }
        let text = String(String.UnicodeScalarView(word.reversed())).lowercased()
        if titles.contains(text) { return .never }
        return others.contains(text) ? .unlessWordFollows : .none
    }

    /// A number of one or two digits: "1." of a list, and ordinals as in "am 3. Oktober".
    private static func judgeNumber(before index: Int, in text: [UInt8], from start: Int) -> Verdict {
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
