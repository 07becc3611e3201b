// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Routes that no request can match")
struct RouteCoverageTests {
    private static func route(_ name: String, _ inputs: Set<Route.Input> = [], path: String? = nil, meta: [String] = []) -> Route {
        var route = Route(name: name)
        route.inputs = inputs
        route.path = path
        route.meta = meta.map { .init(key: Array($0.utf8.prefix(1)), value: Array($0.utf8.dropFirst())) }
        return route
    }

    private static func unreachable(_ routes: [Route]) -> [String] {
        let table = RouteTable(routes)
        return table.unreachable.keys.sorted().map { table.routes[$0].name }
    }

    @Test func `of two routes with the same conditions, the second by name is unreachable`() {
        #expect(Self.unreachable([Self.route("b"), Self.route("a")]) == ["b"])
        #expect(Self.unreachable([Self.route("a", [.text]), Self.route("b", [.text])]) == ["b"])
        #expect(Self.unreachable([Self.route("a", path: "/x"), Self.route("b", path: "/x"), Self.route("c", path: "/y")]) == ["b"])
    }

    @Test func `a text route and an audio route together cover a route for both`() {
        #expect(Self.unreachable([Self.route("t", [.text]), Self.route("u", [.audio]), Self.route("z")]) == ["z"])
        #expect(Self.unreachable([Self.route("t", [.text]), Self.route("z")]) == [])
        #expect(Self.unreachable([Self.route("a"), Self.route("b", [.audio])]) == [])
    }

    @Test func `the order of conditions on meta doesn't matter`() {
        #expect(Self.unreachable([Self.route("a", meta: ["k1", "l2"]), Self.route("b", meta: ["l2", "k1"])]) == ["b"])
        #expect(Self.unreachable([Self.route("a", meta: ["k1"]), Self.route("b", meta: ["k1", "l2"])]) == [])
    }

    @Test func `a route that requires two values of one key is unreachable, and covers no other route`() {
        let table = RouteTable([Self.route("a", meta: ["k1", "k2"]), Self.route("b", meta: ["k1", "k2"]), Self.route("c")])
        #expect(table.unreachable == [0: .contradiction(key: Array("k".utf8)), 1: .contradiction(key: Array("k".utf8))])
    }

    @Test func `the covering routes are reported`() {
        let table = RouteTable([Self.route("t", [.text]), Self.route("u", [.audio]), Self.route("z")])
        #expect(table.unreachable == [2: .covered(by: [0, 1])])
    }
}
