// SPDX-License-Identifier: Apache-2.0

/// A URL in a text, which is spoken as its host.
enum SpokenURL {
    static let prefixes: [StaticString] = ["https://", "http://", "www.", "ftp://"]

    static func mayBegin(with byte: UInt8) -> Bool {
        let letter = lowercase(byte)
        return letter == UInt8(ascii: "h") || letter == UInt8(ascii: "w") || letter == UInt8(ascii: "f")
    }

    static func lowercase(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

    // `index` is below the literal's count; literals live as long as the process.
    static func byte(_ text: StaticString, _ index: Int) -> UInt8 { unsafe text.utf8Start[index] }

    /// Returns whether a URL may contain the scalar. Letters of scripts that separate words by spaces count as part of the URL; letters of
    /// other scripts begin the text after the URL.
    static func mayContain(_ scalar: Unicode.Scalar) -> Bool {
        if !scalar.isASCII { return scalar.value < 0x590 && scalar.isWordPart }
        return scalar.value > 0x20 && scalar.value < 0x7F && !["<", ">", "\"", "`", "|", "\\", "^", "{", "}"].contains(scalar)
    }

    /// Returns the end of the URL, without the punctuation of the sentence and without brackets that were opened before the URL.
    static func trimmed(_ text: ArraySlice<UInt8>) -> Int {
        var text = text
        while let last = text.last {
            switch last {
            case UInt8(ascii: "."), UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: ":"), UInt8(ascii: "!"), UInt8(ascii: "?"),
                UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "_"), UInt8(ascii: "~"):
                break
            case UInt8(ascii: ")"), UInt8(ascii: "]"):
                let open = last == UInt8(ascii: ")") ? UInt8(ascii: "(") : UInt8(ascii: "[")
                guard text.count(where: { $0 == last }) > text.count(where: { $0 == open }) else { return text.endIndex }
            default: return text.endIndex
            }
            text = text.dropLast()
        }
        return text.endIndex
    }

    /// Returns the host, without scheme, user, port, path and `www.`.
    static func host(in text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var host = text
        if let colon = text.firstIndex(of: UInt8(ascii: ":")), text[colon...].dropFirst().starts(with: "//".utf8) {
            host = text[colon...].dropFirst(3)
        }
        let end = host.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }
        host = host[..<(end ?? host.endIndex)]
        if let at = host.lastIndex(of: UInt8(ascii: "@")) { host = host[at...].dropFirst() }
        if host.first != UInt8(ascii: "["), let colon = host.lastIndex(of: UInt8(ascii: ":")) { host = host[..<colon] }
        if host.prefix(4).elementsEqual("www.".utf8, by: { lowercase($0) == $1 }) { host = host.dropFirst(4) }
        return host
    }
}
