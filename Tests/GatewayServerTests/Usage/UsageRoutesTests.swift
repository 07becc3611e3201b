// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Support
import Testing

@testable import GatewayServer

/// `GET /v1/usage`.
@Suite(.bounded) struct UsageRoutesTests {
    private let ledger = UsageLedger()
    private let today = UTCDay(unixMilliseconds: WallTime.now().unixMilliseconds)

    private func add(_ user: String, _ upstream: String = "chat", daysAgo: Int32 = 0, messages: Int64 = 1) throws {
        var amounts = UsageAmounts(messages: messages)
        amounts.audioIn = 1_500_000
        amounts.audioOut = 250_001
        amounts.inputTokens = 10
        amounts.outputTokens = 20
        amounts.cost = 1
        let day = try #require(UTCDay(number: Int64(today.number - daysAgo)))
        ledger.add(amounts, to: UsageRow(user: user, day: day, route: "talk", upstream: upstream))
    }

    @Test func `without parameters the current month is summed`() async throws {
        try add("u1")
        try add("u2", messages: 4)
        try add("u1", daysAgo: 40)
        try await OperationsHarness.run(usage: ledger) { [today] server in
            let reply = try await server.send("GET /v1/usage")
            #expect(reply.status == 200 && reply.fields["content-type"] == "application/json")
            let page = try JSON(reply.body)
            #expect(page["usage"].array?.count == 1 && page["cursor"] == .null)
            let sum = page["usage"][0]
            #expect(sum["from"].integer == Int(today.monthStart.start) && sum["to"].integer == Int(today.monthStart(addingMonths: 1).start))
            #expect(sum["messages"] == 5 && sum["input_tokens"] == 20 && sum["output_tokens"] == 40)
            #expect(sum["audio_seconds_in"] == 3 && sum["audio_seconds_out"] == 0.500002 && sum["cost"] == 0.000002)
            #expect(sum["user"] == .null)
        }
    }

    @Test func `no usage is one sum of zeros, or no groups`() async throws {
        try await OperationsHarness.run { server in
            #expect(try JSON(try await server.send("GET /v1/usage").body)["usage"][0]["messages"] == 0)
            #expect(try JSON(try await server.send("GET /v1/usage?group=user").body)["usage"].array?.isEmpty == true)
            let csv = try await server.send("GET /v1/usage", ["Accept: text/csv"]).body
            #expect(csv.hasPrefix("from,to,messages,audio_seconds_in,audio_seconds_out,input_tokens,output_tokens,cost\r\n"))
            #expect(csv.hasSuffix(",0,0,0,0,0,0\r\n"))
        }
    }

    @Test func `groups are sorted, and paged by cursor`() async throws {
        for user in ["u3", "u1", "u2"] { for upstream in ["voice", "chat"] { try add(user, upstream) } }
        try await OperationsHarness.run(usage: ledger) { server in
            var (found, target): ([String], String?) = ([], "/v1/usage?group=user,upstream&limit=4")
            while let next = target {
                let page = try JSON(try await server.send("GET \(next)").body)
                found += page["usage"].array?.map { "\($0["user"].string ?? "") \($0["upstream"].string ?? "")" } ?? []
                target = page["cursor"].string.map { "/v1/usage?group=user,upstream&limit=4&cursor=\($0)" }
            }
            #expect(found == ["u1 chat", "u1 voice", "u2 chat", "u2 voice", "u3 chat", "u3 voice"])
            let one = try JSON(try await server.send("GET /v1/usage?group=user&group=route&user=u2").body)
            #expect(one["usage"].array?.count == 1 && one["usage"][0]["route"] == "talk" && one["usage"][0]["messages"] == 2)
        }
    }

    @Test func `a group of one day has the bounds of the day; the end of a range is exclusive`() async throws {
        for daysAgo: Int32 in 0..<3 { try add("u1", daysAgo: daysAgo) }
        let day = try #require(UTCDay(number: Int64(today.number - 1)))
        try await OperationsHarness.run(usage: ledger) { [today] server in
            for (from, to) in [
                ("\(day)", "\(today)"), ("\(day.start)", "\(today.start)"), ("\(day)T00:00:00Z", "\(today)T00:00:00.000Z"),
                ("\(day)T23:59:59Z", "\(day)T23:59:59.5Z"), ("\(day)T03:00:00-01:00", "\(today)T02:00:00%2B02:00"),
            ] {
                let page = try JSON(try await server.send("GET /v1/usage?group=day&from=\(from)&to=\(to)").body)
                #expect(page["usage"].array?.count == 1, "\(from) \(to): \(page)")
                #expect(page["usage"][0]["day"].string == day.description)
                #expect(page["usage"][0]["from"].integer == Int(day.start) && page["usage"][0]["to"].integer == Int(today.start))
            }
        }
    }

    @Test(arguments: [
        ("from=yesterday", "from"), ("to=2026-02-30", "to"), ("from=2026-1-1", "from"), ("to=2026-01-01T25:00:00Z", "to"),
        ("from=2026-02-01&to=2026-02-01", "from"), ("from=2026-02-02&to=2026-02-01", "from"), ("group=week", "group"),
        ("group=user,user", "group"), ("group=", "group"), ("user=", "user"), ("limit=0", "limit"), ("limit=10001", "limit"),
        ("cursor=x", "cursor"), ("group=user&cursor=WyJhIiwiYiJd", "cursor"), ("cursor=W10", "cursor"),
        ("from=2026-01-01T00:00:00", "from"),
    ])
    func `an invalid parameter is rejected by name`(query: String, name: String) async throws {
        try await OperationsHarness.run(usage: ledger) { server in
            let reply = try await server.send("GET /v1/usage?\(query)")
            #expect(reply.status == 400 && reply.problem?.contains(name) == true, "\(reply.body)")
        }
    }

    @Test func `another method is 405, another type 406`() async throws {
        try await OperationsHarness.run(usage: ledger) { server in
            let reply = try await server.send("POST /v1/usage")
            #expect(reply.status == 405 && reply.fields["allow"] == "GET, HEAD")
            #expect(try await server.send("GET /v1/usage", ["Accept: image/png"]).status == 406)
        }
    }

    @Test func `Python's csv reads the report, and no cell begins a formula`() async throws {
        let users = ["=1+1", "+a", "-b", "@c", "d,\"e\"", "u1"]
        for user in users { try add(user) }
        let directory = try TemporaryDirectory()
        try await OperationsHarness.run(usage: ledger) { [today] server in
            let reply = try await server.send("GET /v1/usage?group=user,day", ["Accept: text/csv"])
            #expect(reply.status == 200 && reply.fields["content-type"] == "text/csv; charset=utf-8")
            try reply.body.write(toFile: directory.path + "/usage.csv", atomically: false, encoding: .utf8)
            let script = """
                import csv, json
                with open("usage.csv", newline="") as file: print(json.dumps(list(csv.DictReader(file, strict=True))))
                """
            let result = try await ChildProcess.run(try Python.path(), ["-c", script], directory: directory.path)
            let rows = try #require(try JSON(result.lines.joined()).array)
            #expect(rows.compactMap { $0["user"].string } == users.sorted().map { "=+-@".contains($0.prefix(1)) ? "'" + $0 : $0 })
            for row in rows {
                #expect(row["from"].string == "\(today.start)" && row["to"].string == "\(today.next.start)")
                #expect(row["day"].string == today.description && row["messages"] == "1" && row["cost"] == "0.000001")
                #expect(row["audio_seconds_in"] == "1.5" && row["audio_seconds_out"] == "0.250001")
            }
        }
    }

    @Test func `a long report is one CSV document`() async throws {
        for number in 0..<2500 { try add("u\(number)") }
        try await OperationsHarness.run(usage: ledger) { server in
            let lines = try await server.send("GET /v1/usage?group=user", ["Accept: text/csv"]).body.split(separator: "\r\n")
            #expect(Set(lines.filter { $0.contains("\"u") }).count == 2500)
            #expect(lines.filter { $0.hasPrefix("from,") }.count == 1)
        }
    }
}

@Suite struct UsageTimeTests {
    @Test(arguments: [
        ("0", 0), ("1709208000000", 1_709_208_000_000), ("2024-02-29", 1_709_164_800_000), ("2024-02-29T12:00:00Z", 1_709_208_000_000),
        ("2024-02-29t12:00:00z", 1_709_208_000_000), ("2024-02-29T13:30:00+01:30", 1_709_208_000_000),
        ("2024-02-29T11:00:00-01:00", 1_709_208_000_000), ("2024-02-29T12:00:00.5Z", 1_709_208_000_500),
        ("2024-02-29T12:00:00.123456789Z", 1_709_208_000_123),
    ])
    func `dates, times and milliseconds are times`(text: String, expected: Int64) {
        #expect(UsageTime.milliseconds(text) == expected)
    }

    @Test(arguments: [
        "", "x", "2024-02-30", "2024-2-3", "24-02-03", "2024-02-29T", "2024-02-29T12:00:00", "2024-02-29 12:00:00Z", "2024-02-29T24:00:00Z",
        "2024-02-29T12:60:00Z", "2024-02-29T12:00Z", "2024-02-29T12:00:00+1:00", "2024-02-29T12:00:00.Z", "2024-02-29T12:00:00Zx",
        "2024-02-29T12:00:00.1234567890Z", "99999999999999999999", "-2024-02-29", "２０２４-02-29",
    ])
    func `other texts are none`(text: String) { #expect(UsageTime.milliseconds(text) == nil) }

    @Test(arguments: [(0, "0"), (1, "0.000001"), (1_500_000, "1.5"), (-2_000_001, "-2.000001"), (Int64.min, "-9223372036854.775808")])
    func `millionths are exact decimals`(millionths: Int64, text: String) { #expect(UsageCSV.decimal(millionths) == text) }
}
