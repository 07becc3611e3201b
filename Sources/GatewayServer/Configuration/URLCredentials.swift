// SPDX-License-Identifier: Apache-2.0

/// Masks secrets of URLs in texts that are shown.
enum URLCredentials {
    /// The value of a query parameter is masked if its name contains one of these words.
    private static let secretWords = ["key", "token", "secret", "passw", "pwd", "sig", "auth", "credential"]

    /// Masks credentials before a host (`https://user:password@host`, with or without a scheme) and secret parameters of a query.
    ///
    /// The text may be of any form: everything that looks like credentials is masked, even if it isn't.
    static func masked(_ text: String) -> String { mapWords(of: text) { maskedQuery(inWord: maskedUser(inWord: $0)) } }

    /// Masks only secret query parameters, for accepted URLs, which have no credentials before the host.
    static func maskedQuery(_ text: String) -> String { mapWords(of: text, maskedQuery(inWord:)) }

    private static func mapWords(of text: String, _ mask: (Substring) -> String) -> String {
        // Common case: nothing to mask.
        guard text.utf8.contains(UInt8(ascii: "@")) || text.utf8.contains(UInt8(ascii: "?")) else { return text }
        var result = ""
        var rest = text[...]
        while !rest.isEmpty {
            let word = rest.prefix { !isSeparator($0) }
            result += mask(word)
            rest = rest.dropFirst(word.count)
            if let separator = rest.popFirst() { result.append(separator) }
        }
        return result
    }

    private static func isSeparator(_ character: Character) -> Bool {
        character.isWhitespace || character == "," || character == "\"" || character == "'" || character == "[" || character == "]"
    }

    private static func maskedUser(inWord word: Substring) -> String {
        // A password may contain any character, including a slash or another @.
        guard let at = word.lastIndex(of: "@") else { return String(word) }
        let before = word[..<at]
        if let scheme = before.firstRange(of: "://") {
            return "\(before[..<scheme.upperBound])\(ConfigurationKey.mask)\(word[at...])"
        }
        guard before.contains(":") else { return String(word) }
        let name = before.firstIndex(of: "=").map { before[...$0] } ?? ""
        return "\(name)\(ConfigurationKey.mask)\(word[at...])"
    }

    private static func maskedQuery(inWord word: Substring) -> String { maskedQuery(inWord: String(word)) }

    private static func maskedQuery(inWord word: String) -> String {
        guard let mark = word.firstIndex(of: "?") else { return word }
        let parameters = word[word.index(after: mark)...].split(separator: "&", omittingEmptySubsequences: false).map { parameter in
            guard let equals = parameter.firstIndex(of: "=") else { return String(parameter) }
            let name = parameter[..<equals].lowercased()
            return secretWords.contains { name.contains($0) } ? "\(parameter[...equals])\(ConfigurationKey.mask)" : String(parameter)
        }
        return word[...mark] + parameters.joined(separator: "&")
    }
}
