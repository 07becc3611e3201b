// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayServer

@Suite("The notation of values")
struct ConfigurationNotationTests {
    @Test(
        arguments: [
            ("0", .zero), ("100ms", .milliseconds(100)), ("30s", .seconds(30)), ("5m", .seconds(300)), ("24h", .seconds(86_400)),
            ("30d", .seconds(30 * 86_400)), ("007s", .seconds(7)),
        ] as [(String, Duration)])
    func `durations are parsed by their unit`(text: String, duration: Duration) {
        #expect(ConfigurationNotation.duration(text) == duration)
    }

    @Test(arguments: [
        "", "s", "5", "1", "-1s", "+1s", "1 s", "1S", "1.5s", "1h30m", "1us", "9223372036854775808s", "106751991168d", "1s\n",
    ])
    func `parsing an invalid duration returns nil`(text: String) {
        #expect(ConfigurationNotation.duration(text) == nil)
    }

    @Test(
        arguments: [
            ("0", 0), ("4096", 4096), ("512B", 512), ("100KB", 100_000), ("64KiB", 65_536), ("2MB", 2_000_000), ("1MiB", 1 << 20),
            ("8GiB", 8 << 30), ("1GB", 1_000_000_000), ("1TB", 1_000_000_000_000), ("1TiB", 1 << 40),
        ])
    func `sizes are parsed by their unit`(text: String, bytes: Int) {
        #expect(ConfigurationNotation.size(text) == bytes)
    }

    @Test(arguments: ["", "KB", "-1", "1kb", "1K", "1 KB", "1.5KB", "9223372036854775808", "9223372036854775807KB", "1é"])
    func `parsing an invalid size returns nil`(text: String) {
        #expect(ConfigurationNotation.size(text) == nil)
    }

    @Test(arguments: ["0ms", "100ms", "1500ms", "75s", "1m", "90s", "24h", "36h", "2d", "30d", "3650d"])
    func `a formatted duration parses to the same text`(text: String) throws {
        let duration = try #require(ConfigurationNotation.duration(text))
        #expect(ConfigurationNotation.text(duration) == text)
    }

    @Test(arguments: ["0", "1", "999", "1KB", "1KiB", "256KB", "16KiB", "2MB", "6MiB", "1GiB", "8GiB", "1TB"])
    func `a formatted size parses to the same text`(text: String) throws {
        let size = try #require(ConfigurationNotation.size(text))
        #expect(ConfigurationNotation.text(size: size) == text)
    }
}

@Suite("Host and port")
struct SocketEndpointTests {
    @Test(arguments: ["127.0.0.1:8443", "[::1]:8443", "[fe80::1]:0", "localhost:65535", "gateway-1.example_x:1"])
    func `an endpoint is parsed and formatted without change`(text: String) throws {
        #expect(SocketEndpoint(text)?.description == text)
    }

    @Test(
        arguments: [
            ("127.0.0.1:1", true), ("127.9.9.9:1", true), ("[::1]:1", true), ("[0:0:0:0:0:0:0:1]:1", true), ("LOCALHOST:1", true),
            ("0.0.0.0:1", false), ("[::]:1", false), ("128.0.0.1:1", false), ("10.0.0.1:1", false), ("[::2]:1", false),
            ("example.com:1", false),
            ("[1::1]:1", false),
        ])
    func `loopback addresses are recognized`(text: String, isLoopback: Bool) throws {
        #expect(try #require(SocketEndpoint(text)).isLoopback == isLoopback)
    }
}

@Suite("The nearest name")
struct NameSuggestionTests {
    @Test(arguments: [("", "", 0), ("a", "", 1), ("max", "mxa", 1), ("max", "min", 2), ("abc", "abc", 0), ("ca", "abc", 3)])
    func `the distance counts edits, a transposition as one`(first: String, second: String, distance: Int) {
        #expect(NameSuggestion.distance(first, second) == distance)
    }

    @Test(
        arguments: [
            ("connections.mx", "connections.max"), ("conections.max", "connections.max"),
            ("limits.text_per_minuet", "limits.text_per_minute"),
            ("limits.max_depth", "messages.max_depth"), ("zebra", nil), (String(repeating: "x", count: 5000), nil),
        ])
    func `a misspelled name is matched to its key; an unrelated name to none`(name: String, nearest: String?) {
        #expect(NameSuggestion.of(name, among: ConfigurationKey.all.map(\.name)) == nearest)
    }
}
