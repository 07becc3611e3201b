// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct TimelineTests {
    @Test func `over the limit, the oldest events are removed and counted`() {
        var timeline = Timeline()
        for index in 0..<Timeline.limit { timeline.append(.init(at: Int64(index), what: .takenOver)) }
        #expect(timeline.events.count == Timeline.limit && timeline.pruned == 0)
        timeline.append(.init(at: -1, what: .restored))
        #expect(timeline.events.count == Timeline.limit && timeline.pruned == 1)
        #expect(timeline.events.first?.at == 1 && timeline.events.last?.what == .restored)
    }
}
