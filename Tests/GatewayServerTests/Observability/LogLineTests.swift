// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Logging
import Testing

@Suite struct LogLineTests {
    private let time = WallTime(unixMilliseconds: 1_767_323_045_678)

    private func line(_ message: String, _ metadata: Logger.Metadata = [:], level: Logger.Level = .info) -> LogLine {
        LogLine(time: time, level: level, logger: "parley.connection", message: message, metadata: metadata)
    }

    private func json(_ message: String, _ metadata: Logger.Metadata = [:]) -> String {
        String(decoding: line(message, metadata).json(), as: UTF8.self)
    }

    private func console(_ line: LogLine, isColored: Bool = false) -> String {
        String(decoding: line.console(isColored: isColored), as: UTF8.self)
    }

    private let head = #"{"ts":"2026-01-02T03:04:05.678Z","level":"info","logger":"parley.connection","msg":"#

    @Test func `a line without metadata has exactly the four fixed fields`() {
        #expect(json("closed") == head + "\"closed\"}\n")
    }

    @Test func `ids come first, then fields by name`() {
        let fields: Logger.Metadata = [
            "zeta": "z", "code": .stringConvertible(1000), "correlation_id": "C", "connection_id": "B", "session_id": "A",
            "bytes_in": .stringConvertible(7),
        ]
        let expected = #","session_id":"A","connection_id":"B","correlation_id":"C","bytes_in":7,"code":1000,"zeta":"z"}"# + "\n"
        for _ in 0..<20 { #expect(json("closed", fields) == head + "\"closed\"" + expected) }
    }

    @Test(
        arguments: [
            (.stringConvertible(42), "42"), (.stringConvertible(-1), "-1"), (.stringConvertible(UInt64.max), "18446744073709551615"),
            (.stringConvertible(Int64.min), "-9223372036854775808"), (.stringConvertible(UInt16(4001)), "4001"),
            (.stringConvertible(0.5), "0.5"),
            (.stringConvertible(Float(0.25)), "0.25"), (.stringConvertible(true), "true"), (.stringConvertible(false), "false"),
            (.stringConvertible(Double.nan), "\"nan\""), (.stringConvertible(-Double.infinity), "\"-inf\""),
            (.stringConvertible(Substring("text")), "\"text\""), (.string("42"), "\"42\""),
            (.array(["a", .stringConvertible(1), .array([])]), #"["a",1,[]]"#),
            (.dictionary(["b": "2", "a": .stringConvertible(1)]), #"{"a":1,"b":"2"}"#),
        ] as [(Logger.MetadataValue, String)])
    func `values keep their JSON type`(value: Logger.MetadataValue, expected: String) {
        #expect(json("m", ["v": value]) == head + "\"m\",\"v\":" + expected + "}\n")
    }

    @Test func `no message, name or value can forge a line`() {
        let attack = "x\"}\n{\"level\":\"critical\"\u{1B}[2J\u{202E}"
        let escaped = #"x\"}\n{\"level\":\"critical\"\u001b[2J\u202e"#
        #expect(json(attack, [attack: .string(attack)]) == head + "\"\(escaped)\",\"\(escaped)\":\"\(escaped)\"}\n")
        let text = console(line(attack, ["k": .string(attack)]))
        #expect(text.utf8.count { $0 == 0x0A } == 1)
        #expect(text.utf8.allSatisfy { $0 >= 0x20 || $0 == 0x0A })
    }

    @Test func `a field with the name of a fixed one gets a suffix`() {
        #expect(
            json("m", ["level": "x", "msg": "y", "ts": "z", "logger": "l"]) == head
                + #""m","level_":"x","logger_":"l","msg_":"y","ts_":"z"}"# + "\n")
    }

    @Test func `long values and long lines are truncated and remain valid JSON`() {
        let long = String(repeating: "\u{1}", count: 5000)
        let one = json("m", ["v": .string(long)])
        #expect(one.hasSuffix("…(+3976 bytes)\"}\n"))
        var fields: Logger.Metadata = [:]
        for index in 100..<200 { fields["k\(index)"] = .string(long) }
        let many = json("m", fields)
        #expect(many.hasSuffix(",\"truncated\":true}\n"))
        #expect(many.utf8.count < LogLine.longest + 7000)
        let array = json("m", ["v": .array(Array(repeating: .string(long), count: 100))])
        #expect(array.hasSuffix(",\"…\"]}\n"))
        #expect(array.utf8.count < LogLine.longest + 7000)
    }

    @Test func `nested values are truncated at the fourth level`() {
        var value = Logger.MetadataValue.string("end")
        for _ in 0..<3 { value = .array([value]) }
        #expect(json("m", ["v": .array([value])]) == head + #""m","v":[[[["end"]]]]}"# + "\n")
        #expect(json("m", ["v": .array([.array([value])])]) == head + #""m","v":[[[["…"]]]]}"# + "\n")
    }

    @Test func `the console format is one short line`() {
        let fields: Logger.Metadata = [
            "code": .stringConvertible(1000), "reason": "client said \"bye\"", "session_id": "01ABC", "empty": "",
        ]
        #expect(
            console(line("closed", fields, level: .warning))
                == #"03:04:05.678 WARN  parley.connection: closed session_id=01ABC code=1000 empty="" reason="client said \"bye\"""# + "\n")
    }

    @Test func `colors are added only on request`() {
        #expect(!console(line("m", ["a": "b"])).contains("\u{1B}"))
        #expect(
            console(line("m", ["a": "b"]), isColored: true)
                == "\u{1B}[2m03:04:05.678\u{1B}[0m\u{1B}[32m INFO \u{1B}[0m parley.connection: m\u{1B}[2m a=b\u{1B}[0m\n")
    }
}
