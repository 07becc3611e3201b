// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// Bodies as real chat servers send them.
@Suite("Chat stream") struct ChatStreamTests {
    /// The result of reading a body.
    private struct Outcome: Equatable {
        var text = ""
        var statuses: [Int] = []
        var finish: FinishReason?
        var usage: Usage?
        /// `whole`, `failed`, `rejected`, or the kind of the fault.
        var end = "nothing"
    }

    private static func read(
        _ body: [UInt8], declared isDeclaredStream: Bool = true, cutEvery size: Int = .max, tags: Bool = true, secondsApart: Int64 = 0
    ) -> Outcome {
        var stream = ChatStream(limit: 10_000, findsReasoningTags: tags)
        stream.begin(isDeclaredStream: isDeclaredStream)
        var outcome = Outcome()
        func record(_ step: ResponseStream.Step) {
            switch step {
            case .event(.text(let text, _)): outcome.text += String(decoding: text, as: UTF8.self)
            case .event(.status("thinking", _, let bytes)): outcome.statuses.append(bytes ?? -1)
            case .last(.text(let text, final: true), let summary):
                outcome.text += String(decoding: text, as: UTF8.self)
                (outcome.finish, outcome.usage, outcome.end) = (summary.finish, summary.usage, "whole")
            case .failed(let retryable, _): outcome.end = retryable == false ? "rejected" : "failed"
            default: outcome.end = "unexpected"
            }
        }
        var now: Int64 = 0
        do throws(ResponseFault) {
            var start = 0
            while start < body.count {
                let end = min(body.count, size == .max ? body.count : start + size)
                try Array(body[start..<end]).withRawSpanThrowing { (span) throws(ResponseFault) in
                    try stream.receive(span, now: Instant(nanoseconds: now), record)
                }
                start = end
                now += secondsApart * 1_000_000_000
            }
            try stream.end(now: Instant(nanoseconds: now), record)
        } catch {
            outcome.end = "\(error.kind)"
        }
        return outcome
    }

    private static func delta(_ fields: String, finish: String = "null") -> String {
        #"data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{\#(fields)},"finish_reason":\#(finish)}]}"#
            + "\n\n"
    }

    private static let hello = delta(#""role":"assistant","content":"""#) + delta(#""content":"Hel""#) + delta(#""content":"lo""#)
    private static let stop = delta("", finish: #""stop""#)
    private static let done = "data: [DONE]\n\n"

    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let body: String
        var text = "Hello"
        var end = "whole"
        var finish: FinishReason? = .stop
        var isDeclaredStream = true
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(name: "OpenAI's own", body: hello + stop + done),
        Case(name: "no [DONE] after the finish reason", body: hello + stop),
        Case(name: "an empty finish reason in every chunk (LocalAI)", body: delta(#""content":"Hello""#, finish: #""""#) + stop + done),
        Case(name: "an empty finish reason", body: delta(#""content":"Hello""#, finish: #""""#), end: "incomplete", finish: nil),
        Case(
            name: "the string null as the finish reason (DashScope)", body: delta(#""content":"Hello""#, finish: #""null""#),
            end: "incomplete",
            finish: nil
        ),
        Case(name: "a blank finish reason", body: delta(#""content":"Hello""#, finish: #"" ""#), end: "incomplete", finish: nil),
        Case(name: "[DONE] after text without a finish reason", body: hello + done, finish: nil),
        Case(name: "[DONE] alone", body: done, text: "", end: "incomplete", finish: nil),
        Case(name: "[DONE] after a ping", body: "data: {\"object\":\"ping\"}\n\n" + done, text: "", end: "incomplete", finish: nil),
        Case(name: "truncated between events", body: hello, end: "incomplete", finish: nil),
        Case(name: "truncated within an event", body: hello + stop.dropLast(40), end: "incomplete", finish: nil),
        Case(name: "an empty body", body: "", text: "", end: "incomplete", finish: nil),
        Case(name: "a blank body", body: " \r\n\n", text: "", end: "incomplete", finish: nil),

        Case(
            name: "a complete completion as an event",
            body: #"data: {"object":"chat.completion","choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}"# + "\n\n" + done),
        Case(
            name: "a complete completion after its deltas is ignored",
            body: hello + #"data: {"object":"chat.completion","choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}"# + "\n\n"
        ),
        Case(
            name: "a complete completion without data: in an event stream",
            body: ": ping\n\n" + #"{"object":"chat.completion","choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}"#
                + "\n\n"),
        Case(
            name: "a JSON body declared as an event stream",
            body: #"{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}"#),
        Case(name: "an event stream declared as JSON", body: hello + stop + done, isDeclaredStream: false),
        Case(name: "an event stream after a comment, as JSON", body: ": OPENROUTER\n\n" + hello + stop + done, isDeclaredStream: false),
        Case(name: "an event stream that begins with an id", body: "id:1\nevent: x\n" + hello + stop, isDeclaredStream: false),
        Case(name: "an HTML page", body: "<html>502</html>", text: "", end: "unusable", finish: nil, isDeclaredStream: false),
        Case(name: "a JSON array", body: "[]", text: "", end: "unusable", finish: nil, isDeclaredStream: false),
        Case(name: "a text that begins like a field", body: "database", text: "", end: "unusable", finish: nil, isDeclaredStream: false),
        Case(name: "a truncated JSON body", body: #"{"choices":[{"mess"#, text: "", end: "incomplete", finish: nil),
        Case(name: "a JSON body with trailing bytes", body: "{}x", text: "", end: "unusable", finish: nil),
        Case(name: "a JSON body without a choice", body: #"{"choices":[]}"#, text: "", end: "unusable", finish: nil),
        Case(name: "a JSON body whose choices are null", body: #"{"choices":null}"#, text: "", end: "unusable", finish: nil),

        Case(name: "empty and blank data", body: "data:\n\ndata: \n\ndata:  \t\n\n" + hello + "data\n\n" + stop + done),
        Case(name: "blanks around [DONE]", body: hello + "data:   [DONE]  \n\n", finish: nil),
        Case(
            name: "no choices: usage, pings, filter results",
            body: #"data: {"usage":null}"# + "\n\n" + #"data: {"type":"ping"}"# + "\n\n" + hello
                + #"data: {"prompt_filter_results":[],"choices":[]}"# + "\n\n" + stop + done),
        Case(
            name: "choices: null",
            body: #"data: {"choices":null,"usage":{"prompt_tokens":1,"completion_tokens":2}}"# + "\n\n" + hello + stop),
        Case(name: "objects that aren't chunks", body: #"data: {"object":"heartbeat"}"# + "\n\n" + hello + stop + done),
        Case(name: "choices that aren't objects", body: "data: {\"choices\":[null]}\n\n" + hello + stop),
        Case(name: "no empty line at the end", body: hello + String(stop.dropLast(2))),
        Case(name: "no empty line after [DONE]", body: hello + "data: [DONE]", finish: nil),
        Case(name: "a byte order mark before events", body: "\u{FEFF}" + hello + stop),
        Case(
            name: "a byte order mark before JSON",
            body: "\u{FEFF}\r\n" + #"{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}"#,
            isDeclaredStream: false),
        Case(
            name: "NaN and Infinity in ignored fields",
            body:
                #"data: {"p":NaN,"q":[Infinity,-Infinity],"choices":[{"logprobs":{"x":NaN},"delta":{"content":"Hello"},"finish_reason":"stop"}]}"#
                + "\n\n"),
        Case(name: "NaN as usage", body: hello + #"data: {"choices":[],"usage":{"prompt_tokens":NaN}}"# + "\n\n" + stop),
        Case(name: "content: null", body: delta(#""content":null"#) + hello + stop),
        Case(name: "no delta", body: "data: {\"choices\":[{\"index\":0}]}\n\n" + hello + stop),
        Case(
            name: "a legacy completion", body: #"data: {"choices":[{"text":"Hello","finish_reason":"length"}]}"# + "\n\n",
            finish: .length),

        Case(name: "content as parts", body: delta(#""content":[{"type":"text","text":"Hel"},{"type":"text","text":"lo"}]"#) + stop),
        Case(name: "one part", body: delta(#""content":{"type":"text","text":"Hello"}"#) + stop),
        Case(name: "parts of other kinds", body: delta(#""content":[{"type":"image_url","image_url":{}},"Hello",7]"#) + stop),
        Case(name: "content that is a number", body: delta(#""content":5"#), text: "", end: "invalid", finish: nil),
        Case(name: "choices that are a number", body: "data: {\"choices\":5}\n\n", text: "", end: "invalid", finish: nil),
        Case(name: "an event that isn't JSON", body: hello + "data: nonsense\n\n" + stop, end: "invalid", finish: nil),
        Case(
            name: "a lone high surrogate", body: delta(#""content":"Hello\ud83d""#) + delta(#""content":"x""#) + stop,
            text: "Hello\u{FFFD}x"),
        Case(name: "a lone high surrogate at the end", body: delta(#""content":"Hello\ud83d""#) + stop, text: "Hello\u{FFFD}"),
        Case(name: "a lone low surrogate", body: delta(#""content":"\ude00Hello""#) + stop, text: "\u{FFFD}Hello"),
        Case(name: "a split surrogate pair", body: delta(#""content":"Hi \ud83d""#) + delta(#""content":"\ude00!""#) + stop, text: "Hi 😀!"),
        Case(
            name: "surrogate pairs split between deltas, with empty deltas in between",
            body: delta(#""content":"\ud83d""#) + delta(#""content":"""#) + delta(#""content":"\ude00\ud83d""#)
                + delta(#""content":"\ude01""#) + stop,
            text: "😀😁"),

        Case(name: "a refusal", body: delta(#""content":null,"refusal":"I can't""#) + stop, text: "I can't"),
        Case(
            name: "a complete refusal", body: #"{"choices":[{"message":{"content":null,"refusal":"No."},"finish_reason":"stop"}]}"#,
            text: "No."),
        Case(
            name: "content: null in a complete completion",
            body: #"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"t"}]},"finish_reason":"tool_calls"}]}"#, text: "",
            finish: .toolCalls),
        Case(
            name: "reasoning only",
            body: #"{"choices":[{"message":{"content":null,"reasoning_content":"hm"},"finish_reason":"length"}]}"#, text: "",
            finish: .length),
        Case(
            name: "no content at all", body: #"{"choices":[{"message":{"role":"assistant"},"finish_reason":"content_filter"}]}"#, text: "",
            finish: .contentFilter),

        Case(name: "an error", body: #"{"error":{"message":"secret"}}"#, text: "", end: "failed", finish: nil),
        Case(name: "an error in the stream", body: hello + "data: {\"error\":{\"message\":\"x\"}}\n\n" + stop, end: "failed", finish: nil),
        Case(name: "an error without data: (Ollama)", body: hello + "{\"error\":\"out of memory\"}\n", end: "failed", finish: nil),
        Case(
            name: "an error of vLLM", body: "data: {\"object\":\"error\",\"message\":\"x\",\"code\":400}\n\n" + done, text: "",
            end: "rejected", finish: nil),
        Case(
            name: "an error about the request", body: #"{"error":{"message":"too long","type":"invalid_request_error"}}"#, text: "",
            end: "rejected",
            finish: nil),
        Case(name: "an error about load", body: #"{"error":{"message":"busy","code":429}}"#, text: "", end: "failed", finish: nil),
        Case(
            name: "error: null isn't an error", body: #"{"error":null,"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}"#),
    ]

    @Test(arguments: cases, [Int.max, 1, 7])
    func `each server's body is parsed, regardless of chunk sizes`(_ item: Case, size: Int) {
        let outcome = Self.read(Array(item.body.utf8), declared: item.isDeclaredStream, cutEvery: size)
        #expect(outcome.text == item.text)
        #expect(outcome.end == item.end)
        if item.end == "whole" { #expect(outcome.finish == item.finish) }
    }

    @Test(arguments: [
        ("stop", FinishReason.stop), ("length", .length), ("content_filter", .contentFilter), ("tool_calls", .toolCalls),
        ("function_call", .toolCalls),
        ("error", .error), ("eos", .stop), ("MAX_TOKENS", .length), ("SAFETY", .contentFilter), ("end_turn", .stop),
        ("something new", .stop),
    ])
    func `each server's finish reason is mapped`(reason: String, finish: FinishReason) {
        #expect(Self.read(Array((Self.hello + Self.delta("", finish: "\"\(reason)\"") + Self.done).utf8)).finish == finish)
    }

    @Test func `usage in an event after the finish reason is reported`() {
        let usage = #"data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5}}"# + "\n\n"
        #expect(Self.read(Array((Self.hello + Self.stop + usage + Self.done).utf8)).usage == Usage(inputTokens: 12, outputTokens: 5))
    }

    @Test(arguments: [#""reasoning_content":"abcde""#, #""reasoning":"abcde""#, #""reasoning":"abcde","reasoning_content":"abcde""#])
    func `reasoning is reported immediately and once per second, and isn't text`(field: String) {
        let event = Self.delta("\(field),\"content\":null")
        let events = String(repeating: event, count: 5)
        let once = Self.read(Array((events + Self.hello + Self.stop).utf8), cutEvery: event.utf8.count)
        #expect(once.statuses == [5])
        #expect(once.text == "Hello")
        let slow = Self.read(Array((events + Self.hello + Self.stop).utf8), cutEvery: event.utf8.count, secondsApart: 1)
        #expect(slow.statuses == [5, 10, 15, 20, 25])
        #expect(slow.text == "Hello")
    }

    @Test func `thinking parts are reasoning`() {
        let part = #""content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"Hello"}]"#
        let outcome = Self.read(Array((Self.delta(part) + Self.stop).utf8))
        #expect(outcome.text == "Hello")
        #expect(outcome.statuses.count == 1)
    }

    @Test(
        arguments: [
            ("<think>hm</think>Hello", "Hello", 1), ("\n<think>\nhm\n</think>\n\nHello", "Hello", 1),
            ("<thinking>hm</thinking> Hello", "Hello", 1),
            ("<think></think>\n\nHello", "Hello", 0), ("<think>a</think><think>b</think>Hello", "Hello", 1),
            ("<think>without an end", "", 1),
            ("Hello <think>not here</think>", "Hello <think>not here</think>", 0), ("<thin", "<thin", 0), ("  Hello", "  Hello", 0),
            ("<b>Hello</b>", "<b>Hello</b>", 0), ("<think>a</thinking></think>Hello", "Hello", 1), ("", "", 0),
        ], [1, 3, 1000])
    func `text in tags at the beginning of the content is reasoning`(_ item: (content: String, text: String, statuses: Int), size: Int) {
        let bytes = Array(item.content.utf8)
        let events = stride(from: 0, to: bytes.count, by: size).map { start in
            let piece = String(decoding: bytes[start..<min(start + size, bytes.count)], as: UTF8.self).replacing("\n", with: "\\n")
            return Self.delta("\"content\":\"\(piece)\"")
        }
        let outcome = Self.read(Array((Self.delta(#""content":"""#) + events.joined() + Self.stop).utf8))
        #expect(outcome.text == item.text)
        #expect(outcome.statuses.count == item.statuses)
        let unfiltered = Self.read(Array((Self.delta(#""content":"""#) + events.joined() + Self.stop).utf8), tags: false)
        #expect(unfiltered.text == item.content)
    }

    @Test func `an event and a body at the limit are parsed; longer events and bodies are rejected`() {
        let empty = #"{"choices":[{"message":{"content":""}}],"x":""}"#
        func body(_ count: Int) -> String {
            empty.replacing(#""x":"""#, with: "\"x\":\"\(String(repeating: "a", count: count - empty.utf8.count))\"")
        }
        #expect(Self.read(Array(body(10_000).utf8), declared: false).end == "whole")
        #expect(Self.read(Array(body(10_001).utf8), declared: false).end == "tooLong")
        #expect(Self.read(Array(("data: " + body(10_000) + "\n\n" + Self.stop).utf8)).end == "whole")
        #expect(Self.read(Array(("data: " + body(10_011) + "\n\n" + Self.stop).utf8)).end == "tooLong")
    }
}
