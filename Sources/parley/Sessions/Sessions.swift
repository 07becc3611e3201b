// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayCore
import GatewayServer

/// `parley sessions`: lists and manages sessions through the operations listener.
struct Sessions: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, show, report, annotate, close and delete sessions of a running gateway.",
        discussion: """
            Connects to the operations listener named by the local configuration (--config, --environment), or to --address. The token is read \
            from --token-file, PARLEY_OPERATIONS_TOKEN_FILE or PARLEY_OPERATIONS_TOKEN; without --address also from the configuration.

            Exit codes:
              0  success
              1  the request was rejected, there is no such session, or a file can't be read or written
              64  wrong usage
              69  the gateway can't be reached
              78  invalid configuration
            """,
        subcommands: [List.self, Show.self, Report.self, Annotate.self, Close.self, Delete.self])

    enum Format: String, ExpressibleByArgument, CaseIterable { case table, json }

    /// The output format of a report.
    enum ReportStyle: String, ExpressibleByArgument, CaseIterable { case table, json, csv, html }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List sessions, oldest first.")

        @OptionGroup var gateway: GatewayOptions
        @Option(help: "attached, detached, live (either of the two), ended or all.") var state = "live"
        @Option(help: "List only sessions with this tag.") var tag: String?
        @Option(help: "List only live sessions of this node of the cluster.") var node: String?
        @Option(help: "Maximum number of sessions; 0 for all.") var limit = 50
        @Option(help: "table, or json: one JSON object per line.") var format = Format.table

        func validate() throws {
            guard limit >= 0 else { throw ValidationError("--limit must be a number of sessions, or 0 for all") }
            guard SessionOperations.Filter(rawValue: state) != nil else {
                throw ValidationError("--state must be one of \(SessionOperations.Filter.allCases.map(\.rawValue).joined(separator: ", "))")
            }
        }

        func run() async throws {
            try await gateway.perform { client in
                var (remaining, cursor): (Int, String?) = (limit == 0 ? .max : limit, nil)
                var hasHeader = format == .json
                let withNode = format == .table ? try await client.nodeCount() > 1 : false
                var missing: [String] = []
                repeat {
                    let page = try await client.sessions(
                        state: state, tag: tag, node: node, limit: min(remaining, 500), after: cursor)
                    // Printed after the first successful request: an empty table has a header, an error doesn't.
                    if !hasHeader { print(SessionTable.header(withNode: withNode)) }
                    hasHeader = true
                    for session in page.sessions {
                        print(try format == .table ? SessionTable.row(session, withNode: withNode) : SessionTable.json(session))
                    }
                    missing += (page.missingNodes ?? []).filter { !missing.contains($0) }
                    remaining -= page.sessions.count
                    cursor = page.cursor
                } while cursor != nil && remaining > 0
                if !missing.isEmpty {
                    let names = missing.map { ClientText.safe($0) }.joined(separator: ", ")
                    Sessions.printError("these nodes didn't respond, and their sessions are missing: \(names)")
                }
                if cursor != nil { Sessions.printError("more sessions exist; --limit 0 lists all") }
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show a session's counters, timeline and response latencies.")

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
            abstract: "Print the report of a session, which includes the transcript unless reports.content is metadata.")

        @OptionGroup var gateway: GatewayOptions
        @Argument(help: "The session's id.") var session: String
        @Option(help: "table, json, csv or html.") var format = ReportStyle.table
        @Option(
            name: .shortAndLong, help: "Write the report to this file instead of standard output; a new file is readable only by you.")
        var output: String?

        func run() async throws {
            try await gateway.perform { client in
                let style = format == .table ? "json" : format.rawValue
                let body = try await client.get("/v1/sessions/\(Sessions.checked(session))/report?format=\(style)")
                let content = format == .table ? Array((try SessionTable.page(body) + "\n").utf8) : body
                guard let output else {
                    FileHandle.standardOutput.write(Data(content))
                    return
                }
                // Mode 0600, because the transcript is private. Written in place, because the path may name a device.
                let descriptor = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
                var failure: Int32? = descriptor < 0 ? errno : nil
                if failure == nil { failure = Descriptor.write(content, to: descriptor) }
                if descriptor >= 0 { close(descriptor) }
                guard let failure else { return }
                Sessions.printError("\(output): \(Descriptor.text(failure))")
                throw ExitCode(1)
            }
        }
    }

    struct Close: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "End sessions; their connections are closed with code 4507.")

        @OptionGroup var gateway: GatewayOptions
        @Argument(help: "Session ids.") var sessions: [String]

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
            abstract: "Erase sessions, live or ended, with everything stored about them. This can't be undone.")

        @OptionGroup var gateway: GatewayOptions
        @Argument(help: "Session ids.") var sessions: [String]

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

    /// Returns the session id in its canonical form, for use in a request path.
    ///
    /// - Throws: `ExitCode` after a message on standard error if it isn't a ULID.
    static func checked(_ session: String) throws -> String {
        guard let id = ULID(session) else {
            printError("\(ClientText.safe(session)): not a session id, which has 26 letters and digits")
            throw ExitCode(1)
        }
        return "\(id)"
    }

    static func printError(_ message: String) { FileHandle.standardError.write(Data("\(message)\n".utf8)) }
}
