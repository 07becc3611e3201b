import GatewayCore
import Testing

@Suite("Routes") struct RouteTableTests {
    private func route(_ name: String, _ change: (inout Route) -> Void = { _ in }) -> Route {
        var route = Route(name: name)
        change(&route)
        return route
    }

    private func request(audio: Bool = false, meta: [(String, String)] = []) throws -> UpstreamRequest {
        let id = try #require(Array("m1".utf8).withRawSpan { MessageID($0) })
        return UpstreamRequest(
            key: RequestKey(number: 1), id: id,
            input: audio ? .audio(AudioFormat(codec: .pcm16, rate: 16_000, channels: 1)) : .text([0x61]), lang: nil, stream: true,
            output: .init(), meta: meta.map { .init(key: Array($0.0.utf8), value: Array($0.1.utf8)) })
    }

    private func name(_ table: RouteTable, _ request: UpstreamRequest, path: String = "/v1/ws") -> String? {
        table.choose(request, path: path).map { table.routes[$0].name }
    }

    @Test func `the one that demands most is asked first`() throws {
        let table = RouteTable([
            route("a_all"), route("b_text") { $0.inputs = [.text] }, route("c_meta") { $0.meta = [.init(key: [0x6B], value: [0x76])] },
            route("d_path") { $0.path = "/kiosk" },
            route("e_both") {
                $0.path = "/kiosk"
                $0.inputs = [.audio]
            },
        ])
        #expect(table.routes.map(\.name) == ["e_both", "d_path", "c_meta", "b_text", "a_all"])
        #expect(name(table, try request()) == "b_text")
        #expect(name(table, try request(audio: true)) == "a_all")
        #expect(name(table, try request(meta: [("k", "v")])) == "c_meta")
        #expect(name(table, try request(meta: [("k", "w")])) == "b_text")
        #expect(name(table, try request(), path: "/kiosk") == "d_path")
        #expect(name(table, try request(audio: true), path: "/kiosk") == "e_both")
    }

    @Test func `a message that none takes has no route`() throws {
        let table = RouteTable([route("a") { $0.inputs = [.audio] }, route("b") { $0.path = "/x" }])
        #expect(name(table, try request()) == nil)
        #expect(name(RouteTable([]), try request()) == nil)
    }

    @Test func `all conditions on meta have to hold`() throws {
        let table = RouteTable([
            route("two") { $0.meta = [.init(key: [0x61], value: [0x31]), .init(key: [0x62], value: [0x32])] }
        ])
        #expect(name(table, try request(meta: [("a", "1")])) == nil)
        #expect(name(table, try request(meta: [("b", "2"), ("c", "3"), ("a", "1")])) == "two")
    }

    @Test func `equals are told apart by name`() {
        #expect(RouteTable([route("b"), route("a")]).routes.map(\.name) == ["a", "b"])
    }
}

@Suite("What was heard of a spoken answer") struct SpokenTextTests {
    private func spoken() -> SpokenText {
        var spoken = SpokenText()
        spoken.begin(Array("One two. ".utf8))
        spoken.add(nanoseconds: 400_000_000)
        spoken.add(nanoseconds: 600_000_000)
        spoken.begin(Array("three four five".utf8))
        spoken.add(nanoseconds: 1_500_000_000)
        spoken.begin(Array("unheard".utf8))
        return spoken
    }

    @Test(
        arguments: [
            (0, 0), (499, 4), (999, 4), (1000, 9), (1001, 9), (1700, 15), (2499, 20), (2500, 24), (9000, 24), (.max, 24), (-5, 0),
        ] as [(Int64, Int)])
    func `ends with the last whole word that was played`(milliseconds: Int64, bytes: Int) {
        #expect(spoken().bytes(heardAt: milliseconds) == bytes)
    }

    @Test func `nothing was spoken, nothing was heard`() {
        #expect(SpokenText().bytes(heardAt: 1000) == 0)
        #expect(SpokenText().isEmpty)
    }
}
