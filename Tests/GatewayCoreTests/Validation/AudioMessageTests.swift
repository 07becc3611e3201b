// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct AudioMessageTests {
    private static let format = #""format":{"codec":"pcm16","rate":16000,"channels":1}"#

    private func verdict(_ fields: String, rules: ValidationRules = ValidationRules()) -> String {
        scan(#"{"type":"audio","id":"u1",\#(fields)}"#, rules: rules).verdict
    }

    @Test func `a format opens a stream`() {
        let json = #"{"lang":"en","format":{"rate":16000,"codec":"pcm16"},"type":"audio","meta":{"a":"b"},"id":"u1"}"#
        let open = scan(json).audio
        #expect(open?.id.description == "u1" && open?.data == nil && open?.meta.count == 1)
        #expect(open?.format == AudioFormat(codec: .pcm16, rate: 16000, channels: 1))
        #expect(string(open?.lang, in: json) == "en")
        #expect(verdict(Self.format + #","final":false"#) == "ok")
        #expect(verdict(Self.format + #","final":null,"data":null,"from":null"#) == "ok")
    }

    @Test func `final alone ends a stream; from continues a stream`() {
        if case .audioEnd(let id)? = scan(#"{"type":"audio","id":"u1","final":true}"#).message {
            #expect(id.description == "u1")
        } else {
            Issue.record("no end")
        }
        if case .audioFrom(let id, let chunk)? = scan(#"{"type":"audio","id":"u1","from":18446744073709551615}"#).message {
            #expect(id.description == "u1" && chunk == .max)
        } else {
            Issue.record("no from")
        }
        #expect(verdict(#""from":1"#) == "ok")
        for (number, chunk) in [("1.0", 1), ("2e0", 2), ("1.7e1", 17)] as [(String, UInt64)] {
            if case .audioFrom(_, let from)? = scan(#"{"type":"audio","id":"u1","from":\#(number)}"#).message {
                #expect(from == chunk)
            } else {
                Issue.record("no from \(number)")
            }
        }
        for bad in ["0", "-1", "1.5", "0.0", #""1""#, "18446744073709551616", "[]"] {
            #expect(verdict(#""from":\#(bad)"#) == "invalid_message /from", "\(bad)")
        }
    }

    @Test func `data with final is a recording in one message`() {
        let json = #"{"type":"audio","id":"u1",\#(Self.format),"data":"AAECAw==","final":true}"#
        let open = scan(json).audio
        #expect(string(open?.data, in: json) == "AAECAw==")
        var decoded: [UInt8] = []
        if let data = open?.data { #expect(Base64.decode(data, from: Array(json.utf8).span.bytes, into: &decoded)) }
        #expect(decoded == [0, 1, 2, 3])
    }

    @Test(arguments: [
        (#""x":1"#, "invalid_message /format"), (#""final":false"#, "invalid_message /format"), (#""final":1"#, "invalid_message /final"),
        (#""data":"AAAA""#, "invalid_message /format"), (#""data":"AAAA","final":true"#, "invalid_message /format"),
        (format + #","data":"AAAA""#, "invalid_message /final"), (format + #","data":"AAAA","final":false"#, "invalid_message /final"),
        (format + #","final":true"#, "invalid_message /data"), (#""from":1,"final":true"#, "invalid_message /from"),
        (#""from":1,"# + format, "invalid_message /from"), (#""from":1,"data":"AAAA""#, "invalid_message /from"),
        (format + #","data":1,"final":true"#, "invalid_message /data"), (format + #","data":"","final":true"#, "invalid_audio /data"),
        (format + #","data":"AAE=","final":true"#, "ok"), (format + #","data":"AAEC","final":true"#, "invalid_audio /data"),
        (format + #","data":"AA==","final":true"#, "invalid_audio /data"),
        (format + #","data":"AAF=","final":true"#, "invalid_audio /data"),
        (format + #","data":"AAE","final":true"#, "invalid_audio /data"), (format + #","data":"AA-_","final":true"#, "invalid_audio /data"),
        (format + #","data":"AA \nAA==","final":true"#, "invalid_audio /data"),
        (format + #","data":"A\u0000A\u0045\r=","final":true"#, "ok"),
        (format + #","data":"\/\/8=","final":true"#, "ok"), (format + #","data":"\ud800","final":true"#, "invalid_json"),
        (#""format":"pcm16""#, "invalid_message /format"), (#""format":[]"#, "invalid_message /format"),
        (#""format":null"#, "invalid_message /format"),
        (#""format":{}"#, "invalid_message /format/codec"), (#""format":{"codec":1,"rate":8000}"#, "invalid_message /format/codec"),
        (#""format":{"codec":null,"rate":8000}"#, "invalid_message /format/codec"),
        (#""format":{"codec":"mp3","rate":8000}"#, "invalid_audio /format/codec"),
        (#""format":{"codec":"PCM16","rate":8000}"#, "invalid_audio /format/codec"),
        (#""format":{"codec":"","rate":8000}"#, "invalid_audio /format/codec"),
        (#""format":{"codec":"opus"}"#, "invalid_message /format/rate"),
        (#""format":{"codec":"opus","rate":null}"#, "invalid_message /format/rate"),
        (#""format":{"codec":"opus","rate":"8000"}"#, "invalid_message /format/rate"),
        (#""format":{"codec":"opus","rate":8000.0}"#, "ok"), (#""format":{"codec":"opus","rate":1.6e4,"channels":1.0}"#, "ok"),
        (#""format":{"codec":"opus","rate":8000.5}"#, "invalid_message /format/rate"),
        (#""format":{"codec":"opus","rate":4.8001E4}"#, "invalid_audio /format/rate"),
        (#""format":{"codec":"opus","rate":1e400}"#, "invalid_audio /format/rate"),
        (#""format":{"codec":"opus","rate":8000,"channels":1.5}"#, "invalid_message /format/channels"),
        (#""format":{"codec":"opus","rate":8000,"channels":3e0}"#, "invalid_audio /format/channels"),
        (#""format":{"codec":"mp4_aac","rate":44100}"#, "ok"), (#""format":{"codec":"aac","rate":44100}"#, "invalid_audio /format/codec"),
        (#""format":{"codec":"opus","rate":7999}"#, "invalid_audio /format/rate"), (#""format":{"codec":"opus","rate":8000}"#, "ok"),
        (#""format":{"codec":"opus","rate":48000}"#, "ok"), (#""format":{"codec":"opus","rate":48001}"#, "invalid_audio /format/rate"),
        (#""format":{"codec":"opus","rate":-1}"#, "invalid_audio /format/rate"),
        (#""format":{"codec":"opus","rate":99999999999999999999}"#, "invalid_audio /format/rate"),
        (#""format":{"codec":"opus","rate":8000,"channels":0}"#, "invalid_audio /format/channels"),
        (#""format":{"codec":"opus","rate":8000,"channels":1}"#, "ok"),
        (#""format":{"codec":"opus","rate":8000,"channels":2}"#, "ok"),
        (#""format":{"codec":"opus","rate":8000,"channels":3}"#, "invalid_audio /format/channels"),
        (#""format":{"codec":"opus","rate":8000,"channels":"1"}"#, "invalid_message /format/channels"),
        (#""format":{"codec":"opus","rate":8000,"channels":null}"#, "ok"), (#""format":{"codec":"mulaw","rate":8000}"#, "ok"),
        (#""format":{"codec":"alaw","rate":8000}"#, "ok"), (#""format":{"codec":"ogg_opus","rate":8000}"#, "ok"),
        (#""format":{"codec":"webm_opus","rate":8000}"#, "ok"), (#""format":{"codec":"\u006fpus","rate":8000}"#, "ok"),
        (#""format":{"codec":"\ud800","rate":8000}"#, "invalid_json"), (#""format":{"codec":"opus","rate":8000,"x":"\ud800"}"#, "ok"),
    ])
    func `each combination and value of fields is accepted or rejected with its fault`(fields: String, expected: String) {
        #expect(verdict(fields) == expected)
        #expect(scan(#"{\#(fields),"id":"u1","type":"audio"}"#).verdict == expected)
    }

    @Test func `an id is required`() {
        #expect(scan(#"{"type":"audio","final":true}"#).verdict == "invalid_message /id")
        #expect(scan(#"{"type":"audio","id":"","final":true}"#).verdict == "invalid_message /id")
    }

    @Test func `the limit applies to the decoded recording`() {
        let rules = ValidationRules(audioMaxBytes: 100)
        func recording(_ count: Int, codec: String = "opus") -> String {
            let data = base64([UInt8](repeating: 7, count: count))
            return verdict(#""format":{"codec":"\#(codec)","rate":8000},"final":true,"data":"\#(data)""#, rules: rules)
        }
        #expect(recording(99) == "ok")
        #expect(recording(100) == "ok")
        #expect(recording(101) == "audio_too_large /data")
        #expect(recording(102) == "audio_too_large /data")
        #expect(recording(10_000) == "audio_too_large /data")
        #expect(recording(99, codec: "pcm16") == "invalid_audio /data")
    }

    @Test func `a recording must contain whole samples of all channels`() {
        func recording(_ count: Int, _ codec: String, _ channels: Int) -> String {
            let data = base64([UInt8](repeating: 7, count: count))
            return verdict(#""format":{"codec":"\#(codec)","rate":8000,"channels":\#(channels)},"final":true,"data":"\#(data)""#)
        }
        for count in 1...12 {
            #expect(recording(count, "pcm16", 1) == (count % 2 == 0 ? "ok" : "invalid_audio /data"))
            #expect(recording(count, "pcm16", 2) == (count % 4 == 0 ? "ok" : "invalid_audio /data"))
            #expect(recording(count, "mulaw", 2) == (count % 2 == 0 ? "ok" : "invalid_audio /data"))
            #expect(recording(count, "alaw", 1) == "ok")
            #expect(recording(count, "webm_opus", 2) == "ok")
        }
    }
}
