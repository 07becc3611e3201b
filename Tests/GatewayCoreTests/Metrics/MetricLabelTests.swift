// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// The closed sets of labels.
@Suite struct MetricLabelTests {
    private func check<Label: MetricLabel>(_ type: Label.Type) {
        let all = Array(Label.allCases)
        #expect(all.map(\.ordinal) == Array(all.indices), "\(type)")
        #expect(Set(all.map(\.label)).count == all.count, "\(type)")
        for label in all.map(\.label) { #expect(label.contains(/^[a-z0-9_. ]+$/), "\(type): \(label)") }
    }

    @Test func `the values of a label are numbered, distinct and in lower case`() {
        check(InboundMessageType.self)
        check(OutboundMessageType.self)
        check(ConnectionRejection.self)
        check(HandshakeKind.self)
        check(HandshakeFailure.self)
        check(AuthFailure.self)
        check(CloseInitiator.self)
        check(CountedCloseCode.self)
        check(SessionEnding.self)
        check(ResumeOutcome.self)
        check(RateRule.self)
        check(Quota.self)
        check(MemoryPart.self)
        check(ErrorCode.self)
        check(UpstreamOutcome.self)
        check(CancelReason.self)
    }

    @Test(arguments: [
        ("session", OutboundMessageType.session), ("text", .text), ("transcript", .transcript), ("audio", .audio), ("status", .status),
        ("ack", .ack), ("error", .error), ("pong", .pong), ("quota", .quota), ("goaway", .goaway), ("auth", .auth), ("novel", .other),
    ])
    func `a sent message is recognized by its type`(name: String, type: OutboundMessageType) {
        let message = Array(#"{"type":"\#(name)","seq":1}"#.utf8)
        #expect(message.withRawSpan { OutboundMessageType(of: $0) } == type)
    }

    @Test(arguments: 0...11) func `a message that is too short for a type is of no type`(count: Int) {
        let message = Array(#"{"type":"text","seq":1}"#.utf8.prefix(count))
        #expect(message.withRawSpan { OutboundMessageType(of: $0) } == .other)
    }

    @Test(arguments: [
        (UInt16?.some(1000), "1000"), (4503, "4503"), (1005, "1005"), (1006, "1006"), (nil, "1006"), (1004, "3000"), (4999, "3000"),
    ])
    func `a close code that the gateway doesn't send counts as 3000`(code: UInt16?, label: String) {
        #expect(CountedCloseCode(code).label == label)
    }

    @Test(arguments: [
        (UInt8?.none, false, HandshakeFailure.malformed), (70, false, .version), (70, true, .version), (40, false, .parameters),
        (40, true, .alert), (48, true, .certificateRejected), (116, false, .clientCertificate), (50, false, .malformed), (80, true, .alert),
    ])
    func `an alert is classified by its description and its sender`(alert: UInt8?, isReceived: Bool, failure: HandshakeFailure) {
        #expect(HandshakeFailure(alert: alert, isReceived: isReceived) == failure)
    }

    @Test func `each part of the memory usage is a label, and the parts add up to the total`() {
        var usage = MemoryUsage()
        usage.connection.receiveBuffer = 1
        usage.connection.assembler = 2
        usage.connection.deflate = 4
        usage.connection.socketQueue = 8
        usage.outbox = 16
        usage.history = 32
        usage.duplicateIDs = 64
        usage.upstreamQueue = 128
        usage.upstreamAnswers = 256
        usage.requests = 512
        usage.grant = 1024
        #expect(MemoryPart.allCases.reduce(0) { $0 + usage[$1] } == usage.total)
    }

    @Test func `counters of two loops are added, and the newer exemplar is kept`() {
        var (left, right) = (LoopMetrics(), LoopMetrics())
        left.countError(.rateLimited, correlationID: ULID(high: 1, low: 1), wall: 2000)
        right.countError(.rateLimited, correlationID: ULID(high: 2, low: 2), wall: 1000)
        right.countError(.overloaded, correlationID: ULID(high: 3, low: 3), wall: 500)
        right.countClose(1000, by: .client)
        right.inbound.add(.text, 3)
        right.accepted = 5
        left.add(right)
        #expect(left.errors[.rateLimited] == 2 && left.errors[.overloaded] == 1 && left.errors.total == 3)
        #expect(left.errorExemplars[ErrorCode.rateLimited.ordinal]?.correlationID == ULID(high: 1, low: 1))
        #expect(left.errorExemplars[ErrorCode.overloaded.ordinal]?.wall == 500)
        #expect(left.closes[CloseInitiator.client.ordinal][CountedCloseCode(1000)] == 1)
        #expect(left.inbound[.text] == 3 && left.accepted == 5)
    }
}
