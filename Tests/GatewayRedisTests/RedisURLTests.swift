// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import Testing

@Suite("URLs of Redis") struct RedisURLTests {
    private static func endpoint(_ host: String, _ port: Int) -> RedisEndpoint { RedisEndpoint(host: host, port: port) }

    @Test func `a URL of one server has defaults`() throws {
        let url = try RedisURL("redis://localhost")
        #expect(url.mode == .single && !url.isSecure && url.database == 0)
        #expect(url.endpoints == [Self.endpoint("localhost", 6379)])
        #expect(url.user == nil && url.password == nil)
    }

    @Test func `user, password, port and database are parsed`() throws {
        let url = try RedisURL("REDISS://us%40er:p%2Fa%3Ass%25@[2001:db8::1]:7000/15")
        #expect(url.isSecure && url.database == 15)
        #expect(url.endpoints == [Self.endpoint("2001:db8::1", 7000)])
        #expect(url.user == "us@er" && url.password == RedisPassword("p/a:ss%"))
        #expect(url.endpoints[0].description == "[2001:db8::1]:7000")
    }

    @Test func `a password without a user is that of the default user`() throws {
        let url = try RedisURL("redis://:secret@h/")
        #expect(url.user == nil && url.password == RedisPassword("secret"))
        let named = try RedisURL("redis://ann@h")
        #expect(named.user == "ann" && named.password == nil)
    }

    @Test func `a URL of Sentinels has several hosts and the name of the master`() throws {
        let url = try RedisURL("redis+sentinel://u:p@a,b:5000,[::1]/my%2Dmaster/2?sentinel_password=s%26t&sentinel_user=x")
        #expect(url.mode == .sentinel(master: "my-master") && url.database == 2)
        #expect(url.endpoints == [Self.endpoint("a", 26379), Self.endpoint("b", 5000), Self.endpoint("::1", 26379)])
        #expect(url.sentinelPassword == RedisPassword("s&t") && url.sentinelUser == "x")
        #expect(try RedisURL("rediss+sentinel://a/m").isSecure)
    }

    @Test func `a URL of a cluster has several hosts`() throws {
        let url = try RedisURL("rediss+cluster://a:1,b:2,a:1/0")
        #expect(url.mode == .cluster && url.isSecure)
        #expect(url.endpoints == [Self.endpoint("a", 1), Self.endpoint("b", 2)])
    }

    @Test(
        arguments: [
            ("", .scheme), ("http://h", .scheme), ("redis:h", .scheme), ("redis+x://h", .scheme), ("redis://h#x", .fragment),
            ("redis://ü", .characters), ("redis://a b", .characters), ("redis://", .host), ("redis://:6379", .host), ("redis://h:", .port),
            ("redis://h:0", .port), ("redis://h:65536", .port), ("redis://h:+1", .port), ("redis://[::1", .host), ("redis://[x]", .host),
            ("redis://[::1]x", .host), ("redis://a,b", .severalHosts), ("redis+cluster://a,,b", .host), ("redis://a/x", .database),
            ("redis://a/1/2", .database), ("redis://a/-1", .database), ("redis://a/1000000000", .database),
            ("redis+cluster://a/1", .clusterDatabase), ("redis+sentinel://a", .masterName), ("redis+sentinel://a/", .masterName),
            ("redis+sentinel://a/m/x", .database), ("redis+sentinel://a/m?x=1", .parameter), ("redis://a?x=1", .parameter),
            ("redis+sentinel://a/m?sentinel_password", .parameter), ("redis://u:%zz@h", .userInformation),
            ("redis://u:%0a@h", .userInformation),
            ("redis://u:pa/ss@h", .userInformation), ("redis://%ff@h", .userInformation),
        ] as [(String, RedisURLFault)]) func `a malformed URL is rejected with a reason`(text: String, fault: RedisURLFault)
    {
        #expect(throws: fault) { try RedisURL(text) }
    }

    @Test func `ports and numbers of hosts are accepted up to their limits`() throws {
        #expect(try RedisURL("redis://h:65535").endpoints[0].port == 65535)
        let hosts = (1...64).map { "h\($0)" }
        #expect(try RedisURL("redis+cluster://" + hosts.joined(separator: ",")).endpoints.count == 64)
        #expect(throws: RedisURLFault.tooManyHosts) { try RedisURL("redis+cluster://" + (hosts + ["x"]).joined(separator: ",")) }
    }

    @Test func `no description shows a password`() throws {
        let url = try RedisURL("redis+sentinel://u:hunter2@h/m?sentinel_password=swordfish")
        let settings = try RedisSettings(urls: [url], password: RedisPassword("opensesame"))
        var dumped = ""
        dump(url, to: &dumped)
        dump(settings, to: &dumped)
        for text in ["\(url)", "\(settings)", String(reflecting: url), String(reflecting: settings), dumped] {
            for secret in ["hunter2", "swordfish", "opensesame"] { #expect(!text.contains(secret)) }
        }
        for fault in RedisURLFault.allCases { #expect(!fault.description.isEmpty) }
    }

    @Test func `settings combine the endpoints of several URLs`() throws {
        let urls = try ["redis+cluster://u:p@a:1", "redis+cluster://u:p@b:2,a:1"].map { text throws(RedisURLFault) in try RedisURL(text) }
        let settings = try RedisSettings(urls: urls)
        #expect(settings.endpoints == [Self.endpoint("a", 1), Self.endpoint("b", 2)])
        #expect(settings.user == "u" && settings.password == RedisPassword("p") && settings.tls == nil && settings.mode == .cluster)
        let other = try RedisSettings(urls: [RedisURL("rediss://u:p@h/3")], user: "v", password: RedisPassword("q"))
        #expect(other.user == "v" && other.password == RedisPassword("q") && other.tls != nil && other.database == 3)
    }

    @Test(
        arguments: [
            ([], .noURL), (["redis://a", "rediss://b"], .differentSchemes),
            (["redis+sentinel://a/m", "redis+sentinel://a/n"], .differentSchemes),
            (["redis://a/1", "redis://b"], .differentDatabases), (["redis://u:p@a", "redis://u:q@b"], .differentUsers),
        ] as [([String], RedisURLFault)]) func `URLs that don't go together are rejected`(texts: [String], fault: RedisURLFault) throws
    {
        let urls = try texts.map { text throws(RedisURLFault) in try RedisURL(text) }
        #expect(throws: fault) { try RedisSettings(urls: urls) }
    }
}
