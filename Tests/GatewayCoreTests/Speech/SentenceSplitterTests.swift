// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SentenceSplitterTests {
    private func split(_ text: String, cutEvery size: Int = 7) -> [String] {
        var splitter = SentenceSplitter()
        let bytes = Array(text.utf8)
        var found: [[UInt8]] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            found += splitter.append(Array(bytes[start..<min(bytes.count, start + size)]))
        }
        if let rest = splitter.finish() { found.append(rest) }
        return found.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test(arguments: [1, 3, 1000])
    func `sentences are split at their ends, and add up to the text`(size: Int) {
        let text = "Hello, Dr. Who! It is five o'clock, isn't it? \"Yes, it certainly is.\" And so on"
        let sentences = split(text, cutEvery: size)
        #expect(sentences == ["Hello, Dr. Who! It is five o'clock, isn't it? ", "\"Yes, it certainly is.\" ", "And so on"])
        #expect(sentences.joined() == text)
    }

    /// The sentences of each text, separated by "|".
    static let texts = [
        // Devanagari, including the double danda.
        "नमस्ते, आप कैसे हैं। |मैं ठीक हूँ, धन्यवाद। |आपका दिन शुभ हो॥ |अच्छा",
        "नमस्ते, आप कैसे हैं।|मैं ठीक हूँ।",
        // Bengali, Arabic, Urdu, Persian.
        "আপনি কেমন আছেন? |আমি ভালো আছি। |ধন্যবাদ",
        "كيف حالك اليوم؟ |أنا بخير، شكرا؛ |والحمد لله.",
        "آپ کیسے ہیں جناب۔ |میں ٹھیک ہوں۔ |شکریہ",
        "حال شما چطور است؟|خوبم، ممنون.",
        // Burmese, Khmer, Tibetan, Ethiopic, Armenian.
        "နေကောင်းလား၊ |ကျေးဇူးတင်ပါတယ်။ |ဟုတ်ကဲ့",
        "តើអ្នកសុខសប្បាយទេ។ |ខ្ញុំសុខសប្បាយ៕ |អរគុណ",
        "ཁྱེད་རང་སྐུ་གཟུགས། |བདེ་པོ་ཡིན།",
        "እንዴት ነህ ወዳጄ። |ደህና ነኝ አመሰግናለሁ፧ |እሺ ይሁን በቃ፨ |ሰላም",
        "Ինչպե՞ս ես դու։ |Շատ լավ եմ։",
        // Full-width and CJK, with closing quotation marks and brackets.
        "今日はとてもいい天気ですね。|明日も晴れるでしょう。",
        "他说：「今天天气很好。」|我们去公园吧！|好不好呢朋友？）|好",
        "这是第一句话，没错．|这是第二句话；|这是第三句话：|对",
        "「本当ですか？！」|と彼は言いました｡|はい",
        "圆周率是３．１４，时间是１２：３０，对吗？|是",
        // Ellipses.
        "Well, let me think… |It is five, I guess... |Right",
        "\"That was it, really…\" |she said then.",
        // Closing marks of all kinds.
        "He said “It is over now.” |(It really was over.) |«C'est fini, mon ami.» |„Das ist vorbei.“ |Yes",
        "**This is important.** |_And so is this one._ |Yes",
        "That is a great question! |😀 Let me explain it. |👍🏽 Well",
        "That is a great question!😀 |Let me explain it.👍🏽 |Well",
        // Abbreviations, initials, numbers, host names.
        "I met Prof. Smith and Mrs. Jones at 5 p.m. yesterday. |They left.",
        "The U.S. government, e.g. its president, agreed. |J. R. R. Tolkien didn't.",
        "It costs 3.14 euros, not 3,50. |Version 2.0.1 is at example.com today. |Yes",
        "Apples, pears etc. are fruits, see fig. 3 and no. 5 here. |All of them etc. |Bananas too.",
        "Das sind ca. 5 km bzw. 3 Meilen, z. B. am 3. Oktober. |Dr. Müller weiß das.",
        "Two plus three is 5. |The answer to it all is 42. |Take 2. or 3. of them. |Right",
        "उसने कहा, 'यह अच्छा है।' |फिर वह गया। |अच्छा", "उसने कहा, \"यह अच्छा है।\" |फिर वह गया। |अच्छा",
        "1. Take the first one. |2. Take the second one. |3. Done",
        // Sentences don't end at non-breaking spaces.
        "Est-ce que c'est vrai\u{A0}? |M.\u{A0}Dupont est là\u{202F}! |Oui",
        "A line without an end\n|another line without\n|end",
    ]

    @Test(arguments: texts, [1, 2, 5, 1000])
    func `sentences are split in every script`(text: String, size: Int) {
        let expected = text.split(separator: "|").map(String.init)
        #expect(split(expected.joined(), cutEvery: size) == expected)
    }

    @Test func `a sentence is complete with the white space after it, before the next one begins`() {
        var splitter = SentenceSplitter()
        #expect(splitter.append(Array("This is the first one. ".utf8)).count == 1)
        #expect(splitter.append(Array("नमस्ते, आप कैसे हैं। ".utf8)).count == 1)
    }

    @Test(arguments: ["word ", "ß", "字", "क्षि", "👩‍👩‍👧‍👦", "🇩🇪", "é\u{323}"])
    func `a sentence that is too long is split at white space, or between characters`(piece: String) {
        let text = String(repeating: piece, count: 1000)
        for size in [50, 1001] {
            let sentences = split(text, cutEvery: size)
            #expect(sentences.joined() == text)
            #expect(sentences.allSatisfy { $0.count <= 400 })
            #expect(sentences.dropLast().allSatisfy { $0.count == 400 })
            #expect(sentences.reduce(0) { $0 + $1.count } == text.count)
        }
    }

    @Test(arguments: [399, 400, 401])
    func `a sentence has at most 400 characters`(count: Int) {
        let sentences = split(String(repeating: "字", count: count), cutEvery: 1200)
        #expect(sentences.map(\.count) == (count > 400 ? [400, 1] : [count]))
    }

    @Test func `a long sentence without white space is split after punctuation`() {
        let text = String(repeating: "字", count: 100) + "，" + String(repeating: "字", count: 500)
        #expect(split(text).map(\.count) == [101, 400, 100])
    }

    @Test func `the memory for a character with endless combining marks is bounded`() {
        var splitter = SentenceSplitter()
        let mark = Array("\u{301}".utf8)
        var sum = splitter.append([UInt8]("a".utf8) + (0..<8000).flatMap { _ in mark }).count
        for _ in 0..<500 {
            sum += splitter.append(mark).reduce(0) { $0 + $1.count }
            #expect(splitter.heldBytes <= SentenceSplitter.longestBytes + 4)
        }
        #expect(sum + splitter.heldBytes == 17_001)
    }

    @Test(arguments: ["  \n ", "\u{3000}\u{A0}\n", ""])
    func `white space alone isn't a sentence`(text: String) {
        #expect(split(text, cutEvery: 10) == [])
    }

    @Test func `invalid UTF-8 is passed through`() {
        var splitter = SentenceSplitter()
        let bytes = [UInt8](repeating: 0xFF, count: 1000) + [0xE3, 0x80]
        #expect(splitter.append(bytes).flatMap { $0 } + (splitter.finish() ?? []) == bytes)
    }
}
