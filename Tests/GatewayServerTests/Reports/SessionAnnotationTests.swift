// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Testing

@Suite struct SessionAnnotationTests {
    private func apply(_ json: String, to annotation: SessionAnnotation = .init(title: "t", tags: ["a"], notes: "n")) throws
        -> SessionAnnotation
    {
        try SessionAnnotationPatch(json: Array(json.utf8)).applied(to: annotation)
    }

    @Test func `an absent field is unchanged, and null removes a field`() throws {
        #expect(try apply("{}") == SessionAnnotation(title: "t", tags: ["a"], notes: "n"))
        #expect(try apply(#"{"title":"x"}"#) == SessionAnnotation(title: "x", tags: ["a"], notes: "n"))
        #expect(try apply(#"{"title":null,"notes":"a\n\tb"}"#) == SessionAnnotation(title: nil, tags: ["a"], notes: "a\n\tb"))
        #expect(try apply(#"{"tags":["x","y z"]}"#).tags == ["x", "y z"])
        #expect(try apply(#"{"tags":null,"title":null,"notes":null}"#).isEmpty)
    }

    @Test(arguments: [
        "", "[]", "3", "{", #"{"title":3}"#, #"{"title":["a"]}"#, #"{"tags":"a"}"#, #"{"tags":[1]}"#, #"{"owner":"me"}"#, #"{"title":""}"#,
        #"{"title":"a\nb"}"#, #"{"title":"a\u0007"}"#, #"{"tags":[""]}"#, #"{"notes":"a\u0000"}"#, #"{"notes":"a\u009b"}"#,
    ])
    func `an invalid patch is rejected`(json: String) {
        #expect(throws: SessionAnnotationPatch.Fault.self) { try apply(json) }
    }

    @Test func `the bounds are exact`() throws {
        func text(_ count: Int) -> String { String(repeating: "ä", count: count) }
        for (name, limit) in [("title", 200), ("notes", 10_000)] {
            #expect(throws: Never.self) { try apply("{\"\(name)\":\"\(text(limit))\"}") }
            #expect(throws: SessionAnnotationPatch.Fault.self) { try apply("{\"\(name)\":\"\(text(limit + 1))\"}") }
        }
        func tags(_ count: Int, _ length: Int) -> String {
            "{\"tags\":[\((0..<count).map { _ in "\"\(text(length))\"" }.joined(separator: ","))]}"
        }
        #expect(throws: Never.self) { try apply(tags(16, 64)) }
        #expect(throws: SessionAnnotationPatch.Fault.self) { try apply(tags(17, 64)) }
        #expect(throws: SessionAnnotationPatch.Fault.self) { try apply(tags(1, 65)) }
        // One character can have any number of bytes.
        let stacked = "a" + String(repeating: "\u{301}", count: 500)
        #expect(throws: SessionAnnotationPatch.Fault.self) { try apply("{\"title\":\"\(stacked)\"}") }
    }
}
