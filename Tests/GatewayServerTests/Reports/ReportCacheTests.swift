// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Testing

@Suite struct ReportCacheTests {
    private func key(_ number: UInt64, _ format: ReportFormat = .html) -> ReportCache.Key {
        ReportCache.Key(id: ULID(high: number, low: 0), format: format, depth: .full)
    }

    @Test func `the least recently used report is evicted first`() {
        let cache = ReportCache(maximumCount: 2)
        cache.keep([1], for: key(1), since: cache.generation)
        cache.keep([2, 2], for: key(2), since: cache.generation)
        #expect(cache.content(for: key(1)) == [1])
        cache.keep([3], for: key(3), since: cache.generation)
        #expect(cache.content(for: key(2)) == nil && cache.content(for: key(1)) == [1] && cache.content(for: key(3)) == [3])
        let statistics = cache.statistics
        #expect(statistics.hits == 3 && statistics.misses == 1 && statistics.size == 2 && statistics.bytes == 2)
    }

    @Test func `the cache is limited to a hundred reports and a number of bytes`() {
        let cache = ReportCache()
        for number: UInt64 in 0...100 { cache.keep([0], for: key(number), since: cache.generation) }
        #expect(cache.statistics.size == 100 && cache.content(for: key(0)) == nil)
        let small = ReportCache(maximumBytes: 10)
        small.keep([UInt8](repeating: 0, count: 10), for: key(1), since: small.generation)
        #expect(small.statistics.size == 1)
        small.keep([0], for: key(2), since: small.generation)
        #expect(small.statistics.size == 1 && small.statistics.bytes == 1)
        small.keep([UInt8](repeating: 0, count: 11), for: key(3), since: small.generation)
        #expect(small.content(for: key(3)) == nil && small.content(for: key(2)) == [0])
    }

    @Test func `a report that was removed while it was rendered isn't cached`() {
        let cache = ReportCache()
        let generation = cache.generation
        cache.purge(ULID(high: 1, low: 0))
        cache.keep([1], for: key(1), since: generation)
        #expect(cache.statistics.size == 0)
    }

    @Test func `removing a session removes all its formats`() {
        let cache = ReportCache()
        for format in ReportFormat.allCases { cache.keep([0], for: key(1, format), since: cache.generation) }
        cache.keep([0], for: key(2), since: cache.generation)
        cache.purge(ULID(high: 1, low: 0))
        #expect(cache.statistics.size == 1 && cache.content(for: key(2)) == [0])
    }
}
