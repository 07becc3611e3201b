import ArgumentParser
import Foundation
import GatewayCore
import GatewayServer

/// `parley sessions`: what the operations listener knows of sessions, from the terminal.
struct Sessions: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, show, report, annotate, close and delete sessions of a running gateway.",
        discussion: """
            Asks the operations listener of the gateway on this machine, as the configuration names it (--config). For another one there is --address; \
            its token comes from --token-file, PARLEY_OPERATIONS_TOKEN or PARLEY_OPERATIONS_TOKEN_FILE. Exit codes: 0 for success, 1 when \
            the gateway refuses or has no such session, 69 when it can't be reached.
            """,
        subcommands: [List.self, Show.self, Report.self, Annotate.self, Close.self, Delete.self])

    enum Format: String, ExpressibleByArgument, CaseIterable { case table, json }

    /// What a report is printed as.
    enum ReportStyle: String, ExpressibleByArgument, CaseIterable { case table, json, csv, html }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List sessions, those that began first at the top.")

        @OptionGroup var gateway: GatewayOptions
        @Option(help: "attached, detached, live (both), ended or all.") var state = "live"
        @Option(help: "Only those with this tag.") var tag: String?
        @Option(help: "As many as this at most; 0 for all.") var limit = 50
        @Option(help: "table or json: an object a line.") var format = Format.table

        func validate() throws {
            guard limit >= 0 else { throw ValidationError("--limit is a number of sessions, or 0 for all") }
            guard SessionDesk.Filter(rawValue: state) != nil else {
                throw ValidationError("--state is \(SessionDesk.Filter.allCases.map(\.rawValue).joined(separator: ", "))")
            }
        }

        func run() async throws {
            try await gateway.perform { client in
                var (left, cursor): (Int, String?) = (limit == 0 ? .max : limit, nil)
                var hasHeader = format == .json
                repeat {
                    let page = try await client.sessions(state: state, tag: tag, limit: min(left, 500), after: cursor)
                    // An empty table has a header; an error comes without one.
                    if !hasHeader { print(SessionTable.header) }
                    hasHeader = true
                    for session in page.sessions { print(try format == .table ? SessionTable.row(session) : SessionTable.json(session)) }
                    left -= page.sessions.count
                    cursor = page.cursor
                } while cursor != nil && left > 0
                if cursor != nil { Sessions.complain("there are more: --limit 0 lists all") }
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show a session: its counts, its timeline, how long answers took.")

        @OptionGroup var gateway: GatewayOptions
        @Argument(help: "The session's id.") var session: String
        @Option(help: "table or json.") var format = Format.table

        func run() async throws {
            try await gateway.perform { client in
                let body = try await client.get("/v1/sessions/" + Sessions.checked(session))
                try Sessions.show(body, as: format)
            }
        }
    }

    struct Report: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the report of a session: also what was said, where reports hold it.")

        @OptionGroup var gateway: GatewayOptions
        @Argument(help: "The session's id.") var session: String
        @Option(help: "table, json, csv or html.") var format = ReportStyle.table
        @Option(name: .shortAndLong, help: "Write it to a file of your own instead of printing it.") var output: String?

        func run() async throws {
            try await gateway.perform { client in
                let style = format == .table ? "json" : format.rawValue
                let body = try await client.get("/v1/sessions/\(Sessions.checked(session))/report?format=\(style)")
                let content = format == .table ? Array((try SessionTable.page(body) + "\n").utf8) : body
                guard let output else {
                    FileHandle.standardOutput.write(Data(content))
                    return
                }
                // What was said is nobody else's business. Written in place: it may be a device.
                let descriptor = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
                var failure: Int32? = descriptor < 0 ? errno : nil
                if failure == nil { failure = Descriptor.write(content, to: descriptor) }
                if descriptor >= 0 { close(descriptor) }
                guard let failure else { return }
                Sessions.complain("\(output): \(Descriptor.text(failure))")
                throw ExitCode(1)
            }
        }
    }

    struct Close: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "End sessions: their connections are closed with 4507.")

        @OptionGroup var gateway: GatewayOptions
        @Argument(help: "Ids of sessions.") var sessions: [String]

        func run() async throws {
            try await gateway.perform { client in
                for session in sessions {
                    try await client.post("/v1/sessions/\(Sessions.checked(session))/close")
                    print("\(session) closed")
                }
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Erase sessions, live or ended, with everything that is kept of them. There is no way back.")

        @OptionGroup var gateway: GatewayOptions
        @Argument(help: "Ids of sessions.") var sessions: [String]

        func run() async throws {
            try await gateway.perform { client in
                for session in sessions {
                    try await client.delete("/v1/sessions/" + Sessions.checked(session))
                    print("\(session) erased")
                }
            }
        }
    }

    private static func show(_ body: [UInt8], as format: Format) throws {
        print(format == .json ? String(decoding: body, as: UTF8.self) : try SessionTable.page(body))
    }

    /// An id as it goes into a path.
    static func checked(_ session: String) throws -> String {
        guard let id = ULID(session) else {
            complain("\(ClientText.safe(session)): an id has 26 letters and digits")
            throw ExitCode(1)
        }
        return "\(id)"
    }

    static func complain(_ message: String) { FileHandle.standardError.write(Data("\(message)\n".utf8)) }
}
