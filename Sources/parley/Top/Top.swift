// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayServer

/// `parley top`: the live figures of a running gateway.
struct Top: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the live figures of a running gateway and its sessions.",
        discussion: """
            On a terminal, the screen is refreshed every second; ? shows the keys. With --once, the figures are printed once. With a session, \
            its counters, timeline and latencies are shown instead.

            Exit codes:
              0  success
              1  the request was rejected, or there is no such session
              64  wrong usage
              69  the gateway can't be reached, or the connection was lost
              78  invalid configuration
            """)

    @OptionGroup var gateway: GatewayOptions
    @Argument(help: "A session's id.") var session: String?
    @Option(help: "Order of the sessions: memory, queue, rtt, errors or age, largest first.") var sort = "memory"
    @Option(help: ArgumentHelp("Show only sessions of this user.", valueName: "name")) var user: String?
    @Option(help: "Maximum number of sessions with --once, 1 to 500.") var limit = 20
    @Flag(help: "Print the figures once.") var once = false
    @Flag(help: "Print JSON; only with --once.") var json = false

    private struct Snapshot: Encodable {
        var overview: Overview
        var sessions: [SessionSummary]
    }

    func validate() throws {
        guard SessionSort(rawValue: sort) != nil else {
            throw ValidationError("--sort must be one of \(SessionSort.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard (1...500).contains(limit) else { throw ValidationError("--limit must be a number from 1 to 500") }
        guard once || !json else { throw ValidationError("--json requires --once") }
    }

    func run() async throws {
        guard once || TerminalMode.canEdit else {
            throw ValidationError("standard input and output aren't a terminal; use --once")
        }
        let session = try session.map { try Sessions.checked($0) }
        try await gateway.perform { client in
            guard once else {
                var terminal = TopTerminal(client: client, sort: order, user: user, session: session)
                return try await terminal.run()
            }
            guard let session else { return try await printOnce(client) }
            let body = try await client.get("/v1/sessions/" + session)
            print(json ? String(decoding: body, as: UTF8.self) : try SessionTable.page(body))
        }
    }

    private var order: SessionSort { SessionSort(rawValue: sort) ?? .memory }

    private func printOnce(_ client: OperationsClient) async throws {
        let overview = try await client.overview()
        let page = try await client.sessions(by: order, user: user, limit: limit, after: nil)
        guard !json else {
            print(String(decoding: try SortedJSON.encode(Snapshot(overview: overview, sessions: page.sessions)), as: UTF8.self))
            return
        }
        var screen = TopScreen()
        (screen.overview, screen.sessions, screen.sort) = (overview, page.sessions, order)
        print(screen.text)
    }
}

extension OperationsClient {
    /// Returns the newest figures.
    func overview() async throws -> Overview {
        var overview: Overview?
        try await events("/v1/events") { event in
            guard event.type == "overview" else { return true }
            overview = try Self.decode(event)
            return false
        }
        guard let overview else { throw Failure.undecodable }
        return overview
    }

    static func decode(_ event: EventStreamParser.Event) throws -> Overview {
        guard let overview = try? JSONDecoder().decode(Overview.self, from: Data(event.data)) else { throw Failure.undecodable }
        return overview
    }

    func sessions(by sort: SessionSort, user: String?, limit: Int, after cursor: String?) async throws -> SessionPage {
        let body = try await get(
            Self.target("/v1/sessions", [("sort", sort.rawValue), ("limit", "\(limit)"), ("user", user), ("cursor", cursor)]))
        guard let page = try? JSONDecoder().decode(SessionPage.self, from: Data(body)) else { throw Failure.undecodable }
        return page
    }
}
