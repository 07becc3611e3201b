// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayCore

@Suite("The messages between nodes for operators") struct ClusterMessageTests {
    private static let id = ULID(high: 7, low: .max)

    private static let request = OperatorRequest(
        correlationID: id, name: "ada", rights: ["read", "operate"], address: "10.0.0.1", method: "POST",
        target: "/v1/sessions/\(id)/messages?a=b", fields: [.init("accept", "*/*"), .init("idempotency-key", "k")], body: [1, 2, 3])

    /// Each message with the function that reads it and returns its record again.
    private static let messages: [(record: [UInt8], read: @Sendable ([UInt8]) throws -> [UInt8])] = [
        (request.record, { try OperatorRequest(record: $0).record }),
        (OperatorReply.response(status: 204, fields: [.init("x", "y")]).record, { try OperatorReply(record: $0).record }),
        (OperatorReply.elsewhere.record, { try OperatorReply(record: $0).record }),
        (
            ClusterPush(push(.text(Array("hi".utf8))), to: .sessions([id, ULID(high: 0, low: 1)])).record,
            { try ClusterPush(record: $0).record }
        ),
        (ClusterPush(push(.status(state: "sent", progress: 0.5)), to: .all).record, { try ClusterPush(record: $0).record }),
        (reply.record, { try ClusterPushReply(record: $0).record }),
        (PushAnswerRecord(id: id, reply: reply, missingNodes: ["b"]).record, { try PushAnswerRecord(record: $0).record }),
        (
            SessionListRequest(sort: "age", after: .init(figure: -5, id: id), limit: 51, attached: false, user: "ada").record,
            { try SessionListRequest(record: $0).record }
        ),
        (
            SessionListReply(rows: [.init(rank: .init(figure: 1, id: id), summary: [123, 125])]).record,
            { try SessionListReply(record: $0).record }
        ),
    ]

    private static let reply = ClusterPushReply(
        deliveries: [.init(session: id, sequence: 9)], unlisted: 2, failures: 1, missing: [ULID(high: 1, low: 1)])

    private static func push(_ content: PushContent) -> Push {
        Push(id: id, PushRequest(content, timeToLive: 1000), to: .user("ada"))
    }

    @Test func `a message is read as it was written; a part of it, or one byte more, is an error`() throws {
        for (record, read) in Self.messages {
            #expect(try read(record) == record)
            for count in 0..<record.count { #expect(throws: RecordError.self) { try read(Array(record.prefix(count))) } }
            #expect(throws: RecordError.self) { try read(record + [0]) }
        }
    }

    @Test func `a request is within its limits, or an error`() {
        func isAccepted(_ change: (inout OperatorRequest) -> Void) -> Bool {
            var request = Self.request
            change(&request)
            let isRead = (try? OperatorRequest(record: request.record)) != nil
            #expect(isRead == request.isValid)
            return isRead
        }
        func text(_ count: Int) -> String { String(repeating: "x", count: count) }
        for excess in [0, 1] {
            let isAllowed = excess == 0
            #expect(isAccepted { $0.body = [UInt8](repeating: 0, count: OperatorRequest.maximumBody + excess) } == isAllowed)
            #expect(isAccepted { $0.target = text(OperatorRequest.maximumText + excess) } == isAllowed)
            #expect(isAccepted { $0.name = text(OperatorRequest.maximumName + excess) } == isAllowed)
            #expect(isAccepted { $0.method = text(OperatorRequest.maximumName + excess) } == isAllowed)
            #expect(isAccepted { $0.address = text(OperatorRequest.maximumName + excess) } == isAllowed)
            #expect(isAccepted { $0.rights = [text(OperatorRequest.maximumName + excess)] } == isAllowed)
            #expect(isAccepted { $0.rights = Array(repeating: "r", count: OperatorRequest.maximumCount + excess) } == isAllowed)
            let field = OperatorRequest.Field("n", "v")
            #expect(isAccepted { $0.fields = Array(repeating: field, count: OperatorRequest.maximumCount + excess) } == isAllowed)
            #expect(isAccepted { $0.fields = [.init("n", text(OperatorRequest.maximumText + excess))] } == isAllowed)
        }
        // The largest request fits into a frame.
        var largest = Self.request
        largest.body = [UInt8](repeating: 0, count: OperatorRequest.maximumBody)
        #expect(largest.record.count <= NodeFrame.maximumPayload)
    }

    @Test func `a list has at most one row more than the largest page`() {
        let row = SessionListReply.Row(rank: .init(figure: 0, id: Self.id), summary: [])
        for (count, isAllowed) in [(501, true), (502, false)] {
            let request = SessionListRequest(sort: nil, after: nil, limit: count, attached: nil, user: nil)
            #expect(((try? SessionListRequest(record: request.record)) != nil) == isAllowed)
            let reply = SessionListReply(rows: Array(repeating: row, count: count))
            #expect(((try? SessionListReply(record: reply.record)) != nil) == isAllowed)
        }
    }

    @Test(arguments: [199, 200, 599, 600] as [UInt16]) func `a reply has a final status`(status: UInt16) {
        let record = OperatorReply.response(status: status, fields: []).record
        #expect(((try? OperatorReply(record: record)) != nil) == (200...599).contains(status))
    }

    @Test func `a push goes into at most 10000 sessions of a node at once`() {
        for (count, isAllowed) in [(10_000, true), (10_001, false)] {
            let push = ClusterPush(Self.push(.text([120])), to: .sessions(Array(repeating: Self.id, count: count)))
            #expect(((try? ClusterPush(record: push.record)) != nil) == isAllowed)
        }
    }
}
