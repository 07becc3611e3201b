// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayServer

/// The sequence numbers that a session may send while commits are pending.
@Suite struct CommitMarksTests {
    @Test func `without pending commits everything may be sent`() {
        let marks = CommitMarks()
        #expect(marks.awaited == nil && marks.isSessionMessageDurable && marks.sendable == .max)
    }

    @Test func `nothing may be sent before the session message is committed`() {
        var marks = CommitMarks()
        marks.append(5, sequence: 0, accepted: 0)
        marks.holdSessionMessage()
        #expect(!marks.isSessionMessageDurable && marks.sendable == nil && marks.awaited == 5)
        #expect(marks.committed(4) == nil)
        #expect(!marks.isSessionMessageDurable && marks.sendable == nil)
        #expect(marks.committed(5) == 0)
        #expect(marks.isSessionMessageDurable && marks.sendable == .max && marks.awaited == nil)
    }

    @Test func `a commit makes the messages of its ticket and earlier ones durable`() {
        var marks = CommitMarks()
        marks.append(1, sequence: 3, accepted: 2)
        marks.append(2, sequence: 7, accepted: 4)
        marks.append(4, sequence: 9, accepted: 5)
        #expect(marks.awaited == 4 && marks.sendable == 0)
        #expect(marks.committed(1) == 2)
        #expect(marks.sendable == 3)
        #expect(marks.committed(3) == 4)
        #expect(marks.sendable == 7 && marks.awaited == 4)
        #expect(marks.committed(4) == 5)
        #expect(marks.sendable == .max)
        #expect(marks.committed(4) == nil)
    }

    @Test func `a second mark of the same ticket replaces the first`() {
        var marks = CommitMarks()
        marks.append(1, sequence: 3, accepted: 2)
        marks.append(1, sequence: 4, accepted: 3)
        #expect(marks.committed(1) == 3)
        #expect(marks.awaited == nil && marks.sendable == .max)
    }

    @Test func `without pending commits the session message may be sent immediately`() {
        var marks = CommitMarks()
        marks.holdSessionMessage()
        #expect(marks.isSessionMessageDurable)
        marks.append(1, sequence: 1, accepted: 1)
        #expect(marks.isSessionMessageDurable && marks.sendable == 0)
    }
}
