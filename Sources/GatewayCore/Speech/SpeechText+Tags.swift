// SPDX-License-Identifier: Apache-2.0

/// HTML within Markdown.
extension SpeechText {
    /// Block elements, whose tags separate words.
    private static let blocks: Set<String> = [
        "br", "p", "div", "li", "ul", "ol", "tr", "td", "th", "table", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "blockquote", "pre",
        "summary",
        "details", "dt", "dd",
    ]
    private static let entities: [String: String] = [
        "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "nbsp": " ", "ndash": "–", "mdash": "—", "hellip": "…", "lsquo": "‘",
        "rsquo": "’", "ldquo": "“", "rdquo": "”", "laquo": "«", "raquo": "»", "euro": "€", "pound": "£", "deg": "°", "times": "×",
        "copy": "©",
        "middot": "·", "bull": "•", "ensp": " ", "emsp": " ", "thinsp": " ", "shy": "",
    ]

    /// Handles `<`: a comment or a tag is dropped, a URL in angle brackets is spoken as its host, any other `<` is kept verbatim.
    mutating func tag(at index: Int, to end: Int) -> Int? {
        guard index + 1 < end else { return isOpen(end) ? nil : copy(index..<end) }
        let comment = Array("<!--".utf8)
        let length = min(4, end - index)
        if pending[index..<index + length].elementsEqual(comment[..<length]) {
            guard length == 4 else { return isOpen(end) ? nil : copy(index..<end) }
            state = .comment
            return drop(4)
        }
        let first = Unicode.Scalar(pending[index + 1])
        guard first.isWordPart || first == "/" else { return copy(index..<index + 1) }
        let close: Int
        switch find(
            from: index + 1, to: end, within: Bounds.construct, { $0 == UInt8(ascii: ">") || $0 == UInt8(ascii: "<") || $0 == 0x0A })
        {
        case .wait: return nil
        case .none: return copy(index..<index + 1)
        case .at(let position): close = position
        }
        guard pending[close] == UInt8(ascii: ">") else { return copy(index..<index + 1) }
        let count = close + 1 - index
        let content = pending[index + 1..<close]
        if !content.contains(0x20) {
            if content.contains(UInt8(ascii: "@")), !content.contains(UInt8(ascii: "=")), !content.contains(UInt8(ascii: "/")) {
                let scheme = content.firstIndex(of: UInt8(ascii: ":")).map { $0 + 1 } ?? index + 1
                return drop(scheme - index) + copy(scheme..<close) + drop(1)
            }
            if content.firstIndex(of: UInt8(ascii: ":")).map({ content[$0...].starts(with: "://".utf8) }) ?? false {
                let host = Array(SpokenURL.host(in: content))
                return emit(host, for: count)
            }
        }
        var name: [UInt8] = []
        var rest = content.first == UInt8(ascii: "/") ? content.dropFirst() : content
        while let byte = rest.first, Unicode.Scalar(byte).isWordPart && byte < 0x80 || byte == UInt8(ascii: "-") {
            name.append(SpokenURL.lowercase(byte))
            rest = rest.dropFirst()
        }
        let isTag =
            name.first.map { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) } ?? false
            && (rest.first.map { $0 == 0x20 || $0 == 0x09 || $0 == UInt8(ascii: "/") } ?? true)
        guard isTag else { return copy(index..<index + 1) }
        return Self.blocks.contains(String(decoding: name, as: UTF8.self)) && !previous.isSpace ? emit(" ".utf8, for: count) : drop(count)
    }

    mutating func entity(at index: Int, to end: Int) -> Int? {
        var stop = index + 1
        while stop < end, stop - index < Bounds.entity,
            pending[stop] == UInt8(ascii: "#") || (pending[stop] < 0x80 && Unicode.Scalar(pending[stop]).isWordPart)
        { stop += 1 }
        if stop == end, isOpen(end), stop - index < Bounds.entity { return nil }
        guard stop < end, pending[stop] == UInt8(ascii: ";") else { return copy(index..<index + 1) }
        let name = String(decoding: pending[index + 1..<stop], as: UTF8.self)
        guard let text = Self.entities[name] ?? Self.numeric(name) else { return copy(index..<index + 1) }
        return emit(Array(text.utf8), for: stop + 1 - index)
    }

    private static func numeric(_ name: String) -> String? {
        guard name.hasPrefix("#") else { return nil }
        let digits = name.dropFirst()
        let value = digits.hasPrefix("x") || digits.hasPrefix("X") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
        guard let value, let scalar = Unicode.Scalar(value), value >= 0x20, !(0x7F...0x9F).contains(value) else { return nil }
        return String(scalar)
    }
}
