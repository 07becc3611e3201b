// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayServer

/// The full screen of `parley top`: shows each event of the gateway, and handles keys.
struct TopTerminal {
    private enum Event: Sendable {
        case overview(Overview)
        case keys([TerminalKey])
        case failed(any Error)
    }

    private enum Action {
        case none, refresh, quit
    }

    let client: OperationsClient
    private var screen = TopScreen()
    private let user: String?
    /// The session that is shown instead of the table.
    private let session: String?
    /// The cursor of the page that is shown, and of the next one.
    private var page: String?
    private var nextPage: String?
    private var details: [String] = []

    init(client: OperationsClient, sort: SessionSort, user: String?, session: String?) {
        self.client = client
        self.user = user
        self.session = session
        screen.sort = sort
    }

    /// Runs until the user quits.
    ///
    /// - Throws: ``OperationsClient/Failure`` when the gateway rejects a request or the connection is lost
    mutating func run() async throws {
        let (events, continuation) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .bufferingNewest(64))
        guard TopScreenMode.enter() else { throw OperationsClient.Failure.undecodable }
        defer { TopScreenMode.leave() }
        Self.readKeys(into: continuation)
        let client = client
        let receiving = Task {
            do {
                try await client.events("/v1/events") { event in
                    if event.type == "overview" { continuation.yield(.overview(try OperationsClient.decode(event))) }
                    return true
                }
                continuation.finish()
            } catch {
                continuation.yield(.failed(error))
            }
        }
        defer { receiving.cancel() }
        draw()
        for await event in events {
            switch event {
            case .overview(let overview):
                screen.overview = overview
                try await refresh()
            case .keys(let keys):
                for key in keys {
                    switch handle(key) {
                    case .quit: return
                    case .refresh: try await refresh()
                    case .none: draw()
                    }
                }
            case .failed(let error): throw error
            }
        }
    }

    /// Reads keys on a dedicated thread, which ends with the process.
    private static func readKeys(into events: AsyncStream<Event>.Continuation) {
        let thread = Thread {
            var reader = TerminalKeyReader()
            while true {
                let bytes = Descriptor.read(STDIN_FILENO)
                guard !bytes.isEmpty else { return events.finish() }
                events.yield(.keys(reader.read(bytes)))
            }
        }
        thread.name = "keyboard"
        thread.start()
    }

    private mutating func handle(_ key: TerminalKey) -> Action {
        switch key {
        case .interrupt, .endOfInput, .quit: return .quit
        default: break
        }
        if screen.showsHelp {
            screen.showsHelp = false
            return .none
        }
        guard case .scalar(let scalar) = key else { return .none }
        switch scalar {
        case "q": return .quit
        case "?": screen.showsHelp = true
        case "n":
            guard let nextPage else { return .none }
            page = nextPage
            return .refresh
        case "p":
            page = nil
            return .refresh
        default:
            guard let order = TopScreen.sortKeys.first(where: { $0.key == Character(scalar) })?.sort else { return .none }
            screen.sort = order
            page = nil
            return .refresh
        }
        return .none
    }

    private mutating func refresh() async throws {
        if let session {
            details = try SessionTable.page(try await client.get("/v1/sessions/" + session)).split(
                separator: "\n", omittingEmptySubsequences: false
            ).map(String.init)
        } else {
            let found = try await client.sessions(
                by: screen.sort, user: user, limit: max(1, min(500, TopScreenMode.size.rows)), after: page)
            screen.sessions = found.sessions
            nextPage = found.cursor
        }
        draw()
    }

    private func draw() {
        let (columns, rows) = TopScreenMode.size
        let lines =
            session == nil || screen.showsHelp
            ? screen.lines(columns: columns, rows: rows) : details.map { TopScreen.cut($0, to: columns) }
        TopScreenMode.show(lines.prefix(rows))
    }
}

/// The alternate screen of the terminal. Leaving restores what was shown before.
private enum TopScreenMode {
    static func enter() -> Bool {
        guard TerminalMode.enter() else { return false }
        atexit { TopScreenMode.restore() }
        put("\u{1B}[?1049h\u{1B}[?25l")
        return true
    }

    static func leave() {
        restore()
        TerminalMode.leave()
    }

    /// Shows the main screen and the cursor.
    static func restore() { put("\u{1B}[?25h\u{1B}[?1049l") }

    static var size: (columns: Int, rows: Int) {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
        return (max(20, Int(size.ws_col)), max(5, Int(size.ws_row)))
    }

    /// Replaces the contents of the screen in one write.
    static func show(_ lines: some Sequence<String>) {
        let text = lines.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n")
        put("\u{1B}[H\(text)\u{1B}[J")
    }

    private static func put(_ text: String) { _ = Descriptor.write(Array(text.utf8), to: STDOUT_FILENO) }
}
