// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct ServiceNotificationsTests {
    private typealias Status = ServiceNotifications.Status

    private static let ready = Status(isReady: true, text: "3 connections")
    private static let notReady = Status(isReady: false, text: "Not ready: store: disk full")

    private static func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: 1_000_000_000_000) + .milliseconds(milliseconds) }

    @Test func `READY is sent once, when the gateway is ready for the first time`() {
        var notifications = ServiceNotifications(watchdog: nil)
        #expect(
            notifications.update(Self.notReady, ticks: [], now: Self.at(0)) == [
                "EXTEND_TIMEOUT_USEC=30000000", "STATUS=Not ready: store: disk full",
            ])
        #expect(!notifications.hasStarted)
        #expect(notifications.update(Self.ready, ticks: [], now: Self.at(50)) == ["READY=1", "STATUS=3 connections"])
        #expect(notifications.hasStarted)
        #expect(notifications.update(Self.ready, ticks: [], now: Self.at(9000)) == [])
        // Readiness that is lost later is a status only.
        #expect(notifications.update(Self.notReady, ticks: [], now: Self.at(9050)) == ["STATUS=Not ready: store: disk full"])
        #expect(notifications.update(Self.ready, ticks: [], now: Self.at(20_000)) == ["STATUS=3 connections"])
    }

    @Test func `the start timeout is extended every 10 s until the gateway is ready`() {
        var notifications = ServiceNotifications(watchdog: nil)
        let sent = stride(from: 0, through: 30_000, by: 50).filter {
            !notifications.update(Self.notReady, ticks: [], now: Self.at($0)).filter { $0.hasPrefix("EXTEND") }.isEmpty
        }
        #expect(sent == [0, 10_000, 20_000, 30_000])
    }

    @Test func `a status line is sent when it changes, at most every 5 s, in one line of limited length`() {
        var notifications = ServiceNotifications(watchdog: nil)
        func lines(_ text: String, at time: Int64) -> [String] {
            notifications.update(Status(isReady: true, text: text), ticks: [], now: Self.at(time)).filter { $0.hasPrefix("STATUS=") }
        }
        #expect(lines("1", at: 0) == ["STATUS=1"])
        #expect(lines("2", at: 4999) == [])
        #expect(lines("3", at: 5000) == ["STATUS=3"])
        #expect(lines("3", at: 20_000) == [])
        #expect(lines("a\nREADY=1\u{7F}b", at: 30_000) == ["STATUS=aREADY=1b"])
        #expect(lines(String(repeating: "ü", count: 5000), at: 40_000)[0].utf8.count == 512 + 7)
    }

    @Test func `the watchdog is pinged at half its interval while every event loop ticks`() {
        var notifications = ServiceNotifications(watchdog: Watchdog(interval: .seconds(10)))
        func pings(ticks: [Instant], at time: Int64) -> Bool {
            notifications.update(Self.ready, ticks: ticks, now: Self.at(time)).contains("WATCHDOG=1")
        }
        #expect(pings(ticks: [Self.at(0), Self.at(0)], at: 0))
        #expect(!pings(ticks: [Self.at(4900), Self.at(4900)], at: 4999))
        #expect(pings(ticks: [Self.at(4900), Self.at(4900)], at: 5000))
        // The second event loop is stuck from here on.
        #expect(pings(ticks: [Self.at(9900), Self.at(5000)], at: 10_000))
        #expect(!pings(ticks: [Self.at(14_900), Self.at(5000)], at: 15_000))
        #expect(!pings(ticks: [Self.at(30_000), Self.at(5000)], at: 30_000))
        // It runs again.
        #expect(pings(ticks: [Self.at(31_000), Self.at(31_000)], at: 31_000))
    }

    @Test func `the watchdog isn't pinged before the gateway is ready`() {
        var notifications = ServiceNotifications(watchdog: Watchdog(interval: .seconds(10)))
        #expect(!notifications.update(Self.notReady, ticks: [Self.at(0)], now: Self.at(0)).contains("WATCHDOG=1"))
        #expect(notifications.updateInterval == .milliseconds(50))
        #expect(notifications.update(Self.ready, ticks: [Self.at(0)], now: Self.at(0)).contains("WATCHDOG=1"))
        #expect(notifications.updateInterval == .seconds(1))
    }

    @Test func `a reload is announced and completed while the gateway runs, and only then`() {
        var notifications = ServiceNotifications(watchdog: nil)
        #expect(notifications.reloadBegan(monotonic: 1) == [])
        #expect(notifications.reloadEnded() == [])
        _ = notifications.update(Self.ready, ticks: [], now: Self.at(0))
        #expect(notifications.reloadBegan(monotonic: 123_456) == ["RELOADING=1", "MONOTONIC_USEC=123456"])
        #expect(notifications.reloadEnded() == ["READY=1"])
        #expect(notifications.stopping() == ["STOPPING=1"])
        #expect(notifications.stopping() == [])
        #expect(notifications.reloadBegan(monotonic: 2) == [])
        #expect(notifications.reloadEnded() == [])
        // The process isn't reported ready again, but its watchdog and status continue.
        #expect(notifications.update(Self.notReady, ticks: [], now: Self.at(100)) == ["STATUS=Not ready: store: disk full"])
    }

    @Test(
        arguments: [
            ([:], nil), (["WATCHDOG_USEC": "0"], nil), (["WATCHDOG_USEC": "-5"], nil), (["WATCHDOG_USEC": "many"], nil),
            (["WATCHDOG_USEC": "30000000"], 30_000), (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"], 30_000),
            (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"], nil),
        ] as [([String: String], Int64?)])
    func `the watchdog is read from the environment, if it is for this process`(environment: [String: String], milliseconds: Int64?) {
        let watchdog = Watchdog(environment: environment, process: 42)
        #expect(watchdog?.interval.milliseconds == milliseconds)
        #expect(watchdog?.pingInterval.milliseconds == milliseconds.map { $0 / 2 })
    }
}
