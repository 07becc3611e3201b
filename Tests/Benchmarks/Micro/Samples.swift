// SPDX-License-Identifier: Apache-2.0

/// Client messages: those of run.sh's table, and variants.
enum Samples {
    static let ping = Array(#"{"type":"ping","id":"00000001","ts":1767225600000}"#.utf8)
    static let text = message(of: english, characters: 120)
    static let response = message(of: english, characters: 300)
    static let long = message(of: mixed, characters: 16_000)
    static let ascii = message(of: english, characters: 16_000)

    private static let english = [
        "the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "others", "wonder", "how", "it", "came", "to", "this",
        "evening", "without", "anyone", "asking", "what", "weather", "tomorrow", "would", "bring", "and", "whether", "trains", "run",
    ]
    /// Latin with diacritics, Cyrillic, Greek, Japanese, Devanagari, an emoji, escapes, and English in between.
    private static let mixed =
        english + [
            "Grüße", "naïve", "café", "—", "привет", "мир", "который", "завтра", "γειά", "σου", "こんにちは",
            "世界", "明日の天気", "नमस्ते", "दुनिया", "🎧",
            #"\"yes\""#, #"line\nbreak"#, #"C:\\left"#, #"\u00e9t\u00e9"#,
        ]

    /// Returns a message with words in a pseudorandom order, the same in every run: a repetitive text would compress unrealistically well.
    private static func message(of words: [String], characters: Int) -> [UInt8] {
        var text = ""
        var count = 0
        var state: UInt64 = 1
        while true {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let word = words[Int(state >> 33) % words.count] + " "
            if count + word.count > characters { break }
            text += word
            count += word.count
        }
        text += String(repeating: ".", count: characters - count)
        return Array(#"{"type":"text","id":"00000001","text":"\#(text)","stream":false}"#.utf8)
    }
}
