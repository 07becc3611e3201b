// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Logging
import Support
import Synchronization
import Testing

@testable import GatewayServer

/// A ``JWKSetSource`` with a manual clock, whose fetches return what the test provides.
final class JWKSetSourceHarness: Sendable {
    /// The fetches so far, and their results in the order in which they began.
    private struct Fetches: Sendable {
        var urls: [String] = []
        var results: [Int: Result<[UInt8], JWKSetError>] = [:]
    }

    let source: JWKSetSource
    let health: HealthRegistry
    private let timer = ManualTimer()
    private let fetches: AwaitableValue<Fetches>
    /// The `kid` of each key, as last reported; an empty text for a key without one.
    let keys: AwaitableValue<[String]>
    /// The outcomes that callers of `requestRefresh` have received.
    let outcomes = AwaitableValue<[Bool]>([])
    private let recorder: LogRecorder

    /// Public keys of RFC 7517, appendix A.1, and RFC 7515, appendix A.3.
    private static let points = [
        ("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"),
        ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
    ]

    /// - Parameter configure: changes the default settings: no file, `https://idp.example/jwks`, 1 h, 30 s
    init(_ configure: (inout JWKSetSettings) -> Void = { _ in }) {
        var settings = JWKSetSettings(url: UpstreamURL("https://idp.example/jwks?secret"))
        configure(&settings)
        let fetches = AwaitableValue(Fetches())
        let keys = AwaitableValue<[String]>([])
        let recorder = LogRecorder()
        (self.fetches, self.keys, self.recorder) = (fetches, keys, recorder)
        health = HealthRegistry()
        for part in HealthPart.allCases where part != .tokenKeys { health.set(part, .ready) }
        source = JWKSetSource(
            settings, health: health, logger: Logger(label: "test") { _ in recorder }, timer: timer.timer, random: { 0 },
            fetch: { url, authority async throws(JWKSetError) in
                let number = Mutex(0)
                fetches.change { fetches in
                    number.withLock { $0 = fetches.urls.count }
                    fetches.urls.append("\(url)" + (authority.map { " \($0)" } ?? ""))
                }
                let index = number.withLock { $0 }
                guard let result = await fetches.wait(timeout: .seconds(20), { $0.results[index] }) else { return [] }
                return try result.get()
            },
            onChange: { all in keys.change { $0 = all.map { $0.id ?? "" } } })
    }

    /// A set of keys with these ids.
    static func set(_ ids: String...) -> [UInt8] {
        let keys = ids.enumerated().map { index, id in
            let (x, y) = points[index % points.count]
            return #"{"kty":"EC","crv":"P-256","x":"\#(x)","y":"\#(y)","kid":"\#(id)"}"#
        }
        return Array(#"{"keys":[\#(keys.joined(separator: ","))]}"#.utf8)
    }

    /// The URL and the authority of each fetch that has begun.
    var fetched: [String] { fetches.value.urls }

    /// Waits until this many fetches have begun.
    func waitForFetch(_ count: Int) async -> Bool {
        // The whole suite may keep the threads of tasks busy for longer than the limit. Once a later task has run, the fetch's has had its turn.
        await Task {}.value
        return await fetches.wait(timeout: .seconds(60)) { $0.urls.count >= count ? true : nil } ?? false
    }

    /// Ends a fetch in progress, numbered from 1, and waits until its effect is reported.
    func end(_ number: Int, _ result: Result<[UInt8], JWKSetError>) async {
        #expect(await waitForFetch(number))
        let hasEnded = AwaitableValue(false)
        source.requestRefresh { _ in hasEnded.change { $0 = true } }
        fetches.change { $0.results[number - 1] = result }
        #expect(await hasEnded.wait(timeout: .seconds(60)) { $0 ? true : nil } == true)
    }

    /// Ends a fetch that no longer matters.
    func endObsolete(_ number: Int, _ result: Result<[UInt8], JWKSetError>) { fetches.change { $0.results[number - 1] = result } }

    func demand() { source.requestRefresh { outcome in self.outcomes.change { $0.append(outcome) } } }

    func advance(_ duration: Duration) { timer.advance(by: .init(duration)) }

    var part: HealthState? { health.report.parts.first { $0.part == .tokenKeys }?.state }

    var lines: [String] { recorder.linesWithLevel }

    /// Stops the source, and ends all fetches.
    func stop() {
        source.stop()
        fetches.change { fetches in
            for index in fetches.urls.indices where fetches.results[index] == nil { fetches.results[index] = .failure(.fetch(.cancelled)) }
        }
    }
}

/// A clock that the test advances.
private final class ManualTimer: Sendable {
    private struct State: Sendable {
        var now = Instant(nanoseconds: 1_000_000_000)
        var lastID = 0
        var calls: [Int: (at: Instant, body: @Sendable () -> Void)] = [:]

        /// Takes the first call that is due at an instant, and sets the clock to its time.
        mutating func takeCall(until limit: Instant) -> (@Sendable () -> Void)? {
            guard let (id, call) = calls.filter({ $0.value.at <= limit }).min(by: { $0.value.at < $1.value.at }) else {
                now = limit
                return nil
            }
            calls[id] = nil
            now = max(now, call.at)
            return call.body
        }
    }

    private let state = Mutex(State())

    var timer: RefreshTimer {
        RefreshTimer(
            now: { self.state.withLock { $0.now } },
            schedule: { instant, body in
                let id = self.state.withLock { state in
                    state.lastID += 1
                    state.calls[state.lastID] = (instant, body)
                    return state.lastID
                }
                return { self.state.withLock { _ = $0.calls.removeValue(forKey: id) } }
            })
    }

    func advance(by duration: Instant.Duration) {
        let limit = state.withLock { $0.now } + duration
        while let call = state.withLock({ $0.takeCall(until: limit) }) { call() }
    }
}
