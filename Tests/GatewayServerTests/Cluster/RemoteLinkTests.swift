// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import NIOEmbedded
import Testing

@testable import GatewayServer

/// A session whose calls stay on the node that it leaves: the dialer of the pair has the calls, the listener has the session.
@Suite("Upstream calls on another node") struct RemoteLinkTests {
    private let pair: NodeLinkPair
    private let old = RecordingSession()
    private let new = RecordingSession()

    init() throws { pair = try .established() }

    private func keys(_ numbers: UInt64...) -> [RequestKey] { numbers.map { RequestKey(number: $0) } }

    private func request(_ key: UInt64, _ text: String) throws -> UpstreamCommand {
        let id = try #require(MessageID("r\(key)"))
        return .start(
            UpstreamRequest(
                key: RequestKey(number: key), id: id, input: .text(Array(text.utf8)), lang: nil, stream: true, output: .init(), meta: []))
    }

    /// Hands a link over. Returns the link on the new node, whose local part is a loopback.
    private func handOver(
        _ link: any UpstreamLink, _ keys: [RequestKey], unconsumed: Int = 0, tariffs: [(RequestKey, RouteTariff)] = []
    ) throws -> (link: ContinuedLink, remote: RemoteLink) {
        link.detach()
        let (near, far) = try pair.open()
        LinkProxy(of: link, over: near, tariffs: tariffs, on: pair.loop)
        let remote = RemoteLink(over: far, keys: keys, unconsumed: unconsumed, session: new, on: pair.loop)
        let continued = ContinuedLink(remote: remote, local: LoopbackLink(session: new))
        try pair.run()
        return (continued, remote)
    }

    private func words(_ count: Int) -> String { (1...count).map { "w\($0)" }.joined(separator: " ") }

    @Test func `a response in progress continues on the new node, each event once and in order`() throws {
        let link = LoopbackLink(session: old)
        link.demand(10)
        link.send(try request(1, words(200)), audio: [])
        #expect(old.events.count == 10)
        _ = link.withdraw()
        let (continued, _) = try handOver(link, keys(1), unconsumed: words(200).utf8.count - old.consumedBytes)
        #expect(new.events.isEmpty)
        while new.events.last?.isLast != true {
            let count = new.events.count
            continued.demand(7)
            try pair.run()
            #expect(new.events.count <= count + 7)
            try #require(new.events.count > count)
        }
        #expect(old.text(of: 1) + new.text(of: 1) == words(200))
        #expect(old.consumedBytes + new.consumedBytes == words(200).utf8.count)
        #expect(old.events.count == 10 && new.events.count == 190)
    }

    @Test func `new requests start on the new node, while another one continues on the old one`() throws {
        let link = LoopbackLink(session: old)
        link.send(try request(1, words(30)), audio: [])
        let (continued, _) = try handOver(link, keys(1), unconsumed: words(30).utf8.count)
        continued.demand(1000)
        continued.send(try request(2, "hello"), audio: [])
        try pair.run()
        #expect(new.text(of: 2) == "hello" && new.text(of: 1) == words(30))
        continued.send(try request(3, "again"), audio: [])
        #expect(new.text(of: 3) == "again")
        #expect(new.consumedBytes == words(30).utf8.count + 10)
    }

    @Test func `the two parts of a link never deliver more events than the demand`() throws {
        let link = EndlessLink(session: old)
        let (continued, _) = try handOver(link, keys(1))
        continued.send(try request(2, words(100)), audio: [])
        try pair.run()
        var demanded = 0
        for _ in 0..<20 {
            continued.demand(5)
            demanded += 5
            try pair.run()
            #expect(new.events.count == demanded)
        }
        #expect(continued.withdraw() == 0)
    }

    @Test func `without demand the upstream is held back, and memory is bounded by the stream's window`() throws {
        let link = EndlessLink(session: old)
        let (continued, remote) = try handOver(link, keys(1))
        try pair.run()
        // A window of 262144 bytes on each node, and one message beyond.
        #expect(remote.heldBytes <= 262_144 + 1000 && link.produced < 2 * 262_144 / 1000 + 2)
        #expect(link.produced > 400)
        let produced = link.produced
        try pair.run()
        #expect(link.produced == produced)
        link.limit = produced + 1000
        while new.events.count < link.limit {
            let count = new.events.count
            continued.demand(50)
            try pair.run()
            try #require(new.events.count > count)
        }
        let numbers = new.events.map { event -> Int in
            guard case .text(let text, _) = event.content else { return 0 }
            return Int(String(decoding: text.prefix { $0 != 0x20 }, as: UTF8.self)) ?? 0
        }
        #expect(numbers == Array(1...link.limit))
    }

    @Test func `when the link breaks, each open request fails once and retryably, and its bytes are consumed`() throws {
        let link = EndlessLink(session: old)
        link.limit = 0
        let (continued, remote) = try handOver(link, keys(1, 2, 3), unconsumed: 500)
        continued.demand(64)
        link.deliver(.text(Array("partial".utf8), final: false), of: 1)
        link.deliver(.text(Array("all".utf8), final: true), of: 2, isLast: true)
        link.consumed(100)
        try pair.run()
        #expect(new.takeLines() == ["1 'partial'", "2 'all' last"])
        try pair.dialer.close().wait()
        try pair.listener.close().wait()
        try pair.run()
        #expect(new.takeLines() == ["1 gatewayRestarted 0 true last", "3 gatewayRestarted 0 true last"])
        #expect(new.consumedBytes == 500)
        #expect(link.isClosed && remote.isDone)
        // Later commands of failed requests are dropped, and new requests work.
        continued.send(.audio(RequestKey(number: 1), chunk: 0..<4), audio: [0, 0, 0, 0])
        continued.send(.cancel(RequestKey(number: 1), playedMilliseconds: nil), audio: [])
        continued.send(try request(4, "x"), audio: [])
        try pair.run()
        #expect(new.takeLines() == ["4 'x' last"])
        // The dropped chunk of 4 bytes, and the text of 1 byte.
        #expect(new.consumedBytes == 505)
    }

    @Test func `a failure comes after the events that wait for demand`() throws {
        let link = EndlessLink(session: old)
        link.limit = 3
        let (continued, _) = try handOver(link, keys(1))
        #expect(new.events.isEmpty)
        try pair.listener.close().wait()
        try pair.run()
        #expect(new.events.isEmpty)
        continued.demand(64)
        #expect(new.events.count == 4 && new.lines.last == "1 gatewayRestarted 0 true last")
        continued.demand(64)
        #expect(new.events.count == 4)
    }

    @Test func `commands reach the calls in order, and consumed bytes and positions come back`() throws {
        let link = EndlessLink(session: old)
        link.limit = 0
        let tariff = RouteTariff(route: "voice", stages: [.init(role: .any, upstream: "u", price: Price())])
        let (continued, _) = try handOver(link, keys(1), tariffs: [(RequestKey(number: 1), tariff)])
        let key = RequestKey(number: 1)
        let audio = [UInt8](repeating: 1, count: 3 << 20)
        continued.send(.audio(key, chunk: 2..<6), audio: audio)
        continued.send(.audio(key, chunk: 0..<audio.count), audio: audio)
        continued.send(.audioEnd(key), audio: [])
        continued.send(.clientState(.playing, replyTo: nil, playedMilliseconds: 3), audio: [])
        try pair.run()
        #expect(
            link.commands == ["audio 1 4", "audio 1 1048576", "audio 1 1048576", "audio 1 1048576", "end 1", "state playing"])
        link.consumed(4)
        link.played(77)
        try pair.run()
        #expect(new.consumedBytes == 4 && new.positions == [77] && new.tariffs == ["1 voice"])
    }

    @Test func `a cancelled request gets no more events, and the other one continues`() throws {
        let link = EndlessLink(session: old)
        link.limit = 5
        let (continued, remote) = try handOver(link, keys(1, 2), unconsumed: 10)
        link.deliver(.text(Array("two".utf8), final: true), of: 2)
        try pair.run()
        continued.send(.cancel(RequestKey(number: 1), playedMilliseconds: 9), audio: [])
        // Crosses the cancellation.
        link.deliver(.text(Array("late".utf8), final: false), of: 1)
        continued.demand(64)
        try pair.run()
        #expect(new.takeLines() == ["2 'two'"])
        #expect(link.commands == ["cancel 1 9"] && !link.isClosed)
        continued.send(.cancel(RequestKey(number: 2), playedMilliseconds: nil), audio: [])
        try pair.run()
        #expect(link.commands == ["cancel 1 9", "cancel 2 -1"] && link.isClosed && remote.isDone)
        #expect(new.consumedBytes == 10)
    }

    @Test func `the remote part closes when its requests have ended`() throws {
        let link = EndlessLink(session: old)
        link.limit = 0
        let (continued, remote) = try handOver(link, keys(1), unconsumed: 3)
        link.deliver(.text([], final: true), of: 1, isLast: true)
        try pair.run()
        // The event waits for demand; the call isn't needed any more.
        #expect(link.isClosed && !remote.isDone && new.events.isEmpty)
        continued.demand(1)
        #expect(remote.isDone && new.events.count == 1 && new.consumedBytes == 3)
    }

    @Test func `a session that ends closes its calls`() throws {
        let link = EndlessLink(session: old)
        let (continued, _) = try handOver(link, keys(1))
        continued.close()
        try pair.run()
        #expect(link.isClosed && new.events.isEmpty)
    }

    @Test func `a session is transferred to another event loop with a remote call`() throws {
        let link = EndlessLink(session: old)
        link.limit = 0
        let (continued, _) = try handOver(link, keys(1))
        continued.demand(4)
        continued.detach()
        link.deliver(.text(Array("meanwhile".utf8), final: false))
        try pair.run()
        #expect(new.events.isEmpty)
        let moved = RecordingSession()
        let other = EmbeddedEventLoop()
        continued.move(to: moved, on: other)
        try pair.run()
        other.run()
        #expect(moved.lines == ["1 'meanwhile'"])
        try pair.listener.close().wait()
        try pair.run()
        other.run()
        #expect(moved.lines == ["1 'meanwhile'", "1 gatewayRestarted 0 true last"])
    }

    @Test func `a session is handed over twice, and its call stays on the first node`() throws {
        let link = LoopbackLink(session: old)
        link.demand(5)
        link.send(try request(1, words(100)), audio: [])
        _ = link.withdraw()
        let (first, _) = try handOver(link, keys(1))
        first.demand(5)
        try pair.run()
        first.send(try request(2, words(50)), audio: [])
        // From the second node to a third one, for which the same pair is used in the other direction.
        _ = first.withdraw()
        first.detach()
        let back = try #require(pair.listenerOwner.links.last).handler.value.open(label: [])
        try pair.run()
        LinkProxy(of: first, over: back, on: pair.loop)
        let third = RecordingSession()
        let remote = RemoteLink(
            over: try #require(pair.dialerOwner.streams.last), keys: keys(1, 2), unconsumed: 0, session: third, on: pair.loop)
        let continued = ContinuedLink(remote: remote, local: LoopbackLink(session: third))
        continued.demand(1000)
        try pair.run()
        #expect(old.text(of: 1) + new.text(of: 1) + third.text(of: 1) == words(100))
        #expect(new.text(of: 2) + third.text(of: 2) == words(50))
        #expect(remote.isDone)
    }

    @Test func `an invalid message from the session's node closes the calls`() throws {
        for message in [[], [1, 9], try request(9, "new").record(audio: [])] as [[UInt8]] {
            let pair = try NodeLinkPair.established()
            let link = EndlessLink(session: old)
            link.limit = 0
            link.detach()
            let (near, far) = try pair.open()
            LinkProxy(of: link, over: near, on: pair.loop)
            let reader = StreamRecorder()
            reader.attach(to: far, on: pair.loop)
            far.send(message)
            try pair.run()
            #expect(link.isClosed && reader.endings == [.fault])
        }
    }

    @Test func `an invalid message from the node of the calls fails the requests once`() throws {
        let (near, far) = try pair.open()
        let remote = RemoteLink(over: far, keys: keys(1), unconsumed: 0, session: new, on: pair.loop)
        remote.demand(64)
        near.send([1, 99])
        near.send(UpstreamItem.event(UpstreamEvent(RequestKey(number: 1), .text([], final: true), isLast: true)).record)
        try pair.run()
        #expect(new.lines == ["1 gatewayRestarted 0 true last"])
    }
}
