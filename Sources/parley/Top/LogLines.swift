// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayServer
import Logging

/// `parley logs`: the newest log lines of a running gateway.
struct LogLines: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Print the newest log lines of a running gateway.",
        discussion: """
            The gateway keeps the newest 2000 lines in memory. With --follow, further lines are printed as they are written; if they are \
            written faster than they can be sent, some are dropped, and their number is printed on standard error.

            Exit codes:
              0  success
              1  the request was rejected
              64  wrong usage
              69  the gateway can't be reached, or the connection was lost
              78  invalid configuration
            """)

    @OptionGroup var gateway: GatewayOptions
    @Flag(name: .shortAndLong, help: "Print further lines as they are written.") var follow = false
    @Option(help: ArgumentHelp("Print only lines about this session.", valueName: "id")) var session: String?
    @Option(help: ArgumentHelp("Print only lines with this correlation id.", valueName: "id")) var correlation: String?
    @Option(help: "Least severe level: trace, debug, info, notice, warning, error or critical.") var level: String?
    @Flag(help: "Print each line as a JSON object.") var json = false

    private struct Dropped: Decodable {
        var count: UInt64
    }

    func validate() throws {
        guard level.map({ Logger.Level(rawValue: $0) != nil }) ?? true else {
            throw ValidationError("--level must be one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))")
        }
    }

    func run() async throws {
        let target = OperationsClient.target(
            "/v1/logs",
            [("follow", follow ? "true" : nil), ("session_id", session), ("correlation_id", correlation), ("level", level)])
        try await gateway.perform { client in
            try await client.events(target) { event in
                switch event.type {
                case "line":
                    let text = json ? ClientText.line(json: String(decoding: event.data, as: UTF8.self)) : Self.text(event.data)
                    // A closed pipe ends the command.
                    return Descriptor.write(Array((text + "\n").utf8), to: STDOUT_FILENO) == nil
                case "dropped":
                    let count = (try? JSONDecoder().decode(Dropped.self, from: Data(event.data)))?.count ?? 0
                    Sessions.printError("\(count) lines were dropped")
                    return true
                default: return true
                }
            }
        }
    }

    /// Formats a line: time, level, logger, message, then the fields by name, the ids first.
    static func text(_ json: [UInt8]) -> String {
        guard var fields = (try? JSONSerialization.jsonObject(with: Data(json))) as? [String: Any] else {
            return ClientText.safe(String(decoding: json, as: UTF8.self))
        }
        func take(_ name: String) -> String { fields.removeValue(forKey: name).map { "\($0)" } ?? "" }
        var text = [take("ts"), take("level"), take("logger") + ":", take("msg")].map(ClientText.safe).joined(separator: " ")
        let ids = ["session_id", "connection_id", "correlation_id"]
        let rest = fields.keys.filter { !ids.contains($0) }.sorted()
        for name in ids.filter({ fields[$0] != nil }) + rest {
            let value = value(fields[name])
            text += " \(ClientText.safe(name))=" + (SafeText.isPlain(value) ? value : "\"\(ClientText.safe(value))\"")
        }
        return text
    }

    private static func value(_ value: Any?) -> String {
        switch value {
        case let text as String: text
        case let number as NSNumber where isBoolean(number): number.boolValue ? "true" : "false"
        case let value?: "\(value)"
        case nil: ""
        }
    }

    /// Whether a number was `true` or `false` in JSON.
    private static func isBoolean(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }
}
