// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayServer

/// `parley push`: pushes a message into sessions of a running gateway.
struct PushCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "push", abstract: "Push a text or a status into sessions of a running gateway.",
        discussion: """
            The message is delivered like a response: a detached session keeps it until the client resumes. The exit status is 0 if the \
            gateway has queued the message in at least one session, and 1 otherwise.
            """)

    @OptionGroup var gateway: GatewayOptions
    @Option(help: ArgumentHelp("The id of the session.", valueName: "id")) var session: String?
    @Option(help: ArgumentHelp("The user whose sessions get the message.", valueName: "name")) var user: String?
    @Flag(help: "Push into all sessions.") var all = false
    @Option(help: ArgumentHelp("The text; - reads it from standard input.", valueName: "text")) var text: String?
    @Option(help: ArgumentHelp("A status instead of a text.", valueName: "state")) var state: String?
    @Option(help: ArgumentHelp("How long the client may take to acknowledge the message, 1ms to 24h.", valueName: "duration")) var ttl:
        String?
    @Option(help: ArgumentHelp("A key with which the message is pushed only once within 24 h.", valueName: "key")) var idempotencyKey:
        String?
    @Flag(help: "Print the whole response as JSON.") var json = false

    private struct Answer: Decodable {
        struct Session: Decodable {}

        var id: String
        var sessions: [Session]
        var total: Int?
        var undelivered: Int

        enum CodingKeys: String, CodingKey {
            case id, sessions, undelivered
            case total = "sessions_total"
        }
    }

    func validate() throws {
        guard [session != nil, user != nil, all].count(where: { $0 }) == 1 else {
            throw ValidationError("use one of --session, --user and --all")
        }
        guard (text == nil) != (state == nil) else { throw ValidationError("use one of --text and --state") }
    }

    func run() async throws {
        var members = ["type": text == nil ? "status" : "text"]
        if let text { members["text"] = text == "-" ? Self.standardInput() : text }
        members["state"] = state
        members["ttl"] = ttl
        let body = try JSONEncoder().encode(members)
        let fields = idempotencyKey.map { [("Idempotency-Key", $0)] } ?? []
        try await gateway.perform { client in
            let response = try await client.post(try target, json: body, fields: fields)
            guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(response)) else {
                throw OperationsClient.Failure.undecodable
            }
            let count = answer.total ?? answer.sessions.count
            if json {
                print(String(decoding: response, as: UTF8.self))
            } else {
                print("\(answer.id): queued in \(count) session\(count == 1 ? "" : "s"), undelivered in \(answer.undelivered)")
            }
            if count == 0, !all { throw ExitCode(1) }
        }
    }

    private var target: String {
        get throws {
            if let session { return "/v1/sessions/" + (try Sessions.checked(session)) + "/messages" }
            if let user { return "/v1/users/" + OperationsClient.escaped(user) + "/messages" }
            return "/v1/messages"
        }
    }

    /// Reads the text from standard input, at most a little more than the maximum length by default: the gateway rejects a longer one.
    private static func standardInput() -> String {
        var bytes: [UInt8] = []
        while bytes.count <= 1_000_000 {
            let part = Descriptor.read(STDIN_FILENO)
            if part.isEmpty { break }
            bytes += part
        }
        if bytes.last == 0x0A { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }
}
