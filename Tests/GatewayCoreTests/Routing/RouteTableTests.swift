// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Route table") struct RouteTableTests {
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

    @Test func `the most specific matching route is chosen`() throws {
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

    @Test func `a request that matches no route has none`() throws {
        let table = RouteTable([route("a") { $0.inputs = [.audio] }, route("b") { $0.path = "/x" }])
        #expect(name(table, try request()) == nil)
        #expect(name(RouteTable([]), try request()) == nil)
    }

    @Test func `all conditions on meta must hold`() throws {
        let table = RouteTable([
            route("two") { $0.meta = [.init(key: [0x61], value: [0x31]), .init(key: [0x62], value: [0x32])] }
        ])
        #expect(name(table, try request(meta: [("a", "1")])) == nil)
        #expect(name(table, try request(meta: [("b", "2"), ("c", "3"), ("a", "1")])) == "two")
    }

    @Test func `equally specific routes are ordered by name`() {
        #expect(RouteTable([route("b"), route("a")]).routes.map(\.name) == ["a", "b"])
    }
}
