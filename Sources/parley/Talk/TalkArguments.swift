// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import GatewayServer
import ParleyClient

/// The command-line arguments of `parley talk`.
struct TalkArguments: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "talk", _superCommandName: "parley", abstract: "Talk to a gateway from the terminal.",
        discussion: """
            Without --text and --audio, each line of standard input is sent as a text; /help lists the commands. Responses go to standard \
            output, everything else to standard error. If standard output isn't a terminal, the transcript of a recording goes to \
            standard error when a response follows.

            On a terminal, lines can be edited with the Emacs keys of readline, and the up and down keys recall earlier lines. Ctrl-C \
            discards the line; on an empty line it ends the conversation, as Ctrl-D does.

            After a lost connection, talk reconnects and resumes the session, without duplicate requests or responses.

            Exit codes:
            \(TalkStatus.allCases.map { "  \($0.rawValue)  \($0.meaning)" }.joined(separator: "\n"))
            """)

    enum Pace: String, EnumerableFlag {
        case realtime, fast

        static func help(for value: Pace) -> ArgumentHelp? {
            switch value {
            case .realtime: "Send audio in real time, as a microphone does."
            case .fast: "Send audio as fast as the gateway's limits allow."
            }
        }
    }

    @Argument(help: "URL of the gateway, such as wss://localhost:8443 or ws://127.0.0.1:8080/v1/ws; default path: /v1/ws.")
    var url: String

    @Flag(help: "Accept any certificate.")
    var insecure = false

    @Option(help: ArgumentHelp("Trust the CAs in this PEM file instead of the system's.", valueName: "file"), completion: .file())
    var ca: String?

    @Option(
        help: ArgumentHelp(
            """
            Authenticate with this token; with @file, with the first line of a file, and with -, of standard input. A token among the \
            arguments is visible to other users of this machine.
            """, valueName: "token"))
    var token: String?

    @Option(
        help: ArgumentHelp("Authenticate with the token in this file, or with - in the first line of standard input.", valueName: "file"))
    var tokenFile: String?

    @Option(help: ArgumentHelp("Send a text; may be repeated. Each text waits for the response to the previous one.", valueName: "text"))
    var text: [String] = []

    @Option(help: ArgumentHelp("Send a WAV file (16-bit PCM, A-law or µ-law) in chunks of 20 ms.", valueName: "file"), completion: .file())
    var audio: String?

    @Flag(help: "Ask for the audio of --audio to be sent back; the built-in loopback upstream supports this.")
    var echoAudio = false

    @Option(help: ArgumentHelp("Write received audio to a WAV file.", valueName: "file"), completion: .file())
    var save: String?

    /// A file name, or ``aloud`` if none is given; see ``arguments(_:)``.
    @Option(
        help: ArgumentHelp(
            """
            Request spoken responses, and play them with paplay or aplay. With a file name, or with --save, they are written to a WAV \
            file instead. A file name that doesn't end in .wav must be given as --speak=<file>.
            """, valueName: "file.wav"),
        completion: .file(extensions: ["wav"]))
    var speak: String?

    @Flag(exclusivity: .exclusive)
    var pace = Pace.realtime

    @Flag(help: "Request whole responses instead of deltas.")
    var noStream = false

    @Option(help: ArgumentHelp("Language of the texts and recordings (BCP 47).", valueName: "tag"))
    var lang: String?

    @Option(
        help: ArgumentHelp(
            "Maximum time to connect, and maximum silence of the gateway; a whole message may take ten times as long. (default: 30s)",
            valueName: "duration"),
        transform: Self.duration)
    var timeout = Duration.seconds(30)

    @Option(
        help: ArgumentHelp(
            "Connect to this address instead of resolving the host, as with curl; may be repeated.", valueName: "host:port:address"),
        transform: Self.resolution)
    var resolve: [HostResolution] = []

    @Option(
        help: ArgumentHelp(
            "How long to try to resume the session after a lost connection; with 0s, talk exits. (default: 30s, on a terminal 2m)",
            valueName: "duration"),
        transform: Self.durationOrNone)
    var reconnect: Duration?

    @Option(
        help: ArgumentHelp(
            "Keep the lines entered on a terminal in this file, readable only by you; without this option they aren't kept.",
            valueName: "file"),
        completion: .file())
    var history: String?

    @Flag(name: .shortAndLong, help: "Print only errors to standard error.")
    var quiet = false

    @Flag(help: "Print each message of the gateway as received, one per line; a binary message as {\"binary\":<size in bytes>}.")
    var json = false

    /// The value of `--speak` that plays responses instead of writing a file.
    static let aloud = "-"

    /// Returns the arguments with an explicit value for `--speak`, which ArgumentParser can't parse as an option with an optional value: the
    /// next argument is its value only if it names a WAV file.
    static func arguments(_ arguments: [String]) -> [String] {
        var result: [String] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            guard argument == "--speak" else {
                result.append(argument)
                if argument == "--" { break }
                continue
            }
            if let next = rest.first, next.lowercased().hasSuffix(".wav"), !next.hasPrefix("-"), !next.contains("://") {
                result.append("--speak=\(next)")
                rest = rest.dropFirst()
            } else {
                result.append("--speak=\(aloud)")
            }
        }
        return result + rest
    }

    private static func duration(_ text: String) throws -> Duration {
        let duration = try durationOrNone(text)
        guard duration > .zero else { throw ValidationError("the duration must be greater than 0") }
        return duration
    }

    private static func durationOrNone(_ text: String) throws -> Duration {
        guard let duration = ConfigurationNotation.duration(text), duration <= .seconds(86_400) else {
            throw ValidationError("a duration must be written as 500ms, 30s or 5m, and be at most 24h")
        }
        return duration
    }

    private static func resolution(_ text: String) throws -> HostResolution {
        do throws(HostResolution.Fault) {
            return try HostResolution(text)
        } catch {
            throw ValidationError("\(error)")
        }
    }
}
