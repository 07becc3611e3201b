// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct LanguageTagTests {
    private func isWellFormed(_ tag: String) -> Bool { LanguageTag.isWellFormed(Array(tag.utf8).span.bytes) }

    @Test(arguments: [
        "de", "DE", "deu", "zh-Hans", "zh-Hans-CN", "zh-cmn-Hans-CN", "zh-yue-HK", "sl-rozaj-biske", "de-CH-1901", "sl-IT-nedis",
        "hy-Latn-IT-arevela",
        "de-DE", "es-419", "de-CH-x-phonebk", "az-Arab-x-AZE-derbend", "x-whatever", "x-a-b-c", "qaa-Qaaa-QM-x-southern",
        "en-US-u-islamcal",
        "zh-CN-a-myext-x-private", "en-a-myext-b-another", "ar-a-aaa-b-bbb-a-ccc", "i-klingon", "I-Klingon", "en-GB-oed", "sgn-BE-FR",
        "zh-min-nan",
        "art-lojban", "cel-gaulish", "root", "abcde", "abcdefgh", "de-0abc", "zh-aaa-bbb-ccc", "en-u-co-phonebk", "en-0-ab",
        "x-abcdefgh-abcdefgh-abcdefgh-abcdefgh-abcdefgh-abcdefgh-abcdefgh",
    ])
    func `well-formed tags are accepted`(tag: String) {
        #expect(isWellFormed(tag))
    }

    @Test(arguments: [
        "", "a", "1", "d-e", "de_DE", "de-", "-de", "de--DE", "abcdefghi", "de-abcdefghi", "de DE", "dé", "de-419-DE", "a-DE", "x", "x-",
        "x-abcdefghi",
        "de-a", "de-a-b", "de-u-", "de-x", "zh-aaa-bbb-ccc-ddd", "12", "de-1a", "i-nothing", "en-GB-oedx", "de-DE-", "de-éa", "de\u{0}",
        "*", "de-a-x-b",
        "abcd-efg", "-", "----------------------------------------------------------------",
        "x-abcdefgh-abcdefgh-abcdefgh-abcdefgh-abcdefgh-abcdefgh-abcdefghi",
        "x-abcdefgh-abcdefgh-abcdefgh-abcdefgh-abcdefgh-abcdefgh-abcdefgh-a",
        "a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-",
    ])
    func `malformed tags are rejected`(tag: String) {
        #expect(!isWellFormed(tag))
    }
}
