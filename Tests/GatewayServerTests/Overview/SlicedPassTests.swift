// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import NIOEmbedded
import Support
import Testing

@testable import GatewayServer

@Suite struct SlicedPassTests {
    /// A clock that advances by a constant with each visited element.
    private final class Pass {
        let eventLoop = EmbeddedEventLoop()
        var now: Int64 = 0
        var visited: [Int] = []
        var completions = 0

        func run(_ count: Int, nanosecondsPerElement: Int64) {
            SlicedPass.run(over: Array(0..<count), on: eventLoop, clock: { self.now }) { element in
                self.visited.append(element)
                self.now += nanosecondsPerElement
            } completion: {
                self.completions += 1
            }
        }
    }

    @Test func `a pass shorter than a slice completes at once`() {
        let pass = Pass()
        pass.run(80, nanosecondsPerElement: 1000)
        #expect(pass.visited == Array(0..<80))
        #expect(pass.completions == 1)
        let empty = Pass()
        empty.run(0, nanosecondsPerElement: 1)
        #expect(empty.completions == 1)
    }

    @Test func `a longer pass pauses after each slice, so that other tasks of the loop run in between`() {
        let pass = Pass()
        // 100 µs per element: a slice of 500 µs ends after the batch of 8 elements that exceeds it.
        pass.run(20, nanosecondsPerElement: 100_000)
        #expect(pass.visited.count == 8)
        #expect(pass.completions == 0)
        // Tasks that are due run first: the next slice isn't due yet.
        pass.eventLoop.run()
        #expect(pass.visited.count == 8)
        pass.eventLoop.advanceTime(by: .milliseconds(1))
        #expect(pass.visited.count == 16)
        pass.eventLoop.advanceTime(by: .milliseconds(1))
        #expect(pass.visited == Array(0..<20))
        #expect(pass.completions == 1)
        pass.eventLoop.advanceTime(by: .seconds(1))
        #expect(pass.completions == 1)
    }

    @Test(arguments: [0, 1, 63, 64, 65, 1000]) func `the first elements are those of a sort, whatever the order of insertion`(limit: Int) {
        var numbers = Array(0..<1000)
        var generator = SplitMix64(state: 7)
        numbers.shuffle(using: &generator)
        var first = FirstElements<Int>(limit: limit)
        for number in numbers { first.insert(number) }
        #expect(first.sorted() == Array(0..<limit))
    }

    @Test func `a rank sorts by figure, largest first, then by id, and survives its cursor`() throws {
        let (low, high) = (ULID(high: 0, low: 1), ULID(high: 0, low: 2))
        let ranks = [SessionRank(figure: 5, id: high), SessionRank(figure: -1, id: low), SessionRank(figure: 5, id: low)]
        #expect(ranks.sorted() == [ranks[2], ranks[0], ranks[1]])
        for rank in ranks { #expect(SessionRank(cursor: rank.cursor) == rank) }
        for text in ["", "5", "5.", ".\(low)", "05.\(low)", "+5.\(low)", "5.\(low).", "5.x", "99999999999999999999.\(low)"] {
            #expect(SessionRank(cursor: text) == nil, "\(text)")
        }
    }
}
