import ArgumentParser
import GatewayServer

/// What can be said on the command line of `parley talk`.
struct TalkArguments: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "talk", _superCommandName: "parley", abstract: "Talk to a gateway from the terminal.",
        discussion: """
            Without --text and --audio, each line of standard input is a text; /help lists the commands. Replies go to standard output, \
            everything else to standard error. On a pipe the transcript of a recording that is answered goes to standard error as well.

            On a terminal the line can be edited with the keys of readline, and earlier lines come back with the arrow keys. Ctrl-C gives \
            up a line, and on an empty one it ends the conversation, as Ctrl-D does.

            A lost connection is opened again, and the session resumed: nothing is said or heard twice.

            Exit codes:
            \(TalkStatus.allCases.map { "  \($0.rawValue)  \($0.meaning)" }.joined(separator: "\n"))
            """)

    enum Pace: String, EnumerableFlag {
        case realtime, fast

        static func help(for value: Pace) -> ArgumentHelp? {
            switch value {
            case .realtime: "Send audio at the pace of a microphone."
            case .fast: "Send audio as quickly as the gateway's limits permit."
            }
        }
    }

    @Argument(help: "Where the gateway is, say wss://localhost:8443 or ws://127.0.0.1:8080/v1/ws; the path is /v1/ws unless given.")
    var url: String

    @Flag(help: "Take any certificate.")
    var insecure = false

    @Option(help: ArgumentHelp("Trust the authorities in this PEM file instead of the system's.", valueName: "file"))
    var ca: String?

    @Option(help: ArgumentHelp("Send a text; may be repeated. Each waits for the answer to the one before.", valueName: "text"))
    var text: [String] = []

    @Option(help: ArgumentHelp("Send a WAV file (16-bit PCM, A-law or µ-law) in chunks of 20 ms.", valueName: "file"))
    var audio: String?

    @Flag(help: "Ask for the audio to be played back.")
    var echoAudio = false

    @Option(help: ArgumentHelp("Write the audio that comes back into a WAV file.", valueName: "file"))
    var save: String?

    /// A file, or ``aloud`` where none is named; see ``arguments(_:)``.
    @Option(
        help: ArgumentHelp(
            """
            Ask for spoken answers, and play them with paplay or aplay; with a file, or --save, they are written as WAV instead. \
            The file's name ends in .wav, or stands behind an equals sign.
            """, valueName: "file.wav"))
    var speak: String?

    @Flag(exclusivity: .exclusive)
    var pace = Pace.realtime

    @Flag(help: "Ask for whole answers instead of pieces.")
    var noStream = false

    @Option(help: ArgumentHelp("The language spoken, as in BCP 47.", valueName: "tag"))
    var lang: String?

    @Option(
        help: ArgumentHelp(
            "How long to wait for the connection, and for each sign of life; ten times as long for a whole message. (default: 30s)",
            valueName: "duration"),
        transform: Self.duration)
    var timeout = Duration.seconds(30)

    @Option(
        help: ArgumentHelp(
            "Connect to an address instead of looking up the host's, as curl has it; may be repeated.", valueName: "host:port:address"),
        transform: Self.resolution)
    var resolve: [HostResolution] = []

    @Option(
        help: ArgumentHelp(
            "How long to try to get a lost connection back; 0s ends with it. (default: 30s, at a terminal 2m)", valueName: "duration"),
        transform: Self.durationOrNone)
    var reconnect: Duration?

    @Option(
        help: ArgumentHelp(
            "Keep the lines written at the terminal in this file, which only you can read. Without it they are forgotten.",
            valueName: "file"))
    var history: String?

    @Flag(name: .shortAndLong, help: "Nothing on standard error but errors.")
    var quiet = false

    @Flag(help: "Print each message of the gateway as it came, one a line; a binary one as {\"binary\":bytes}.")
    var json = false

    /// The value of `--speak` that plays instead of writing a file.
    static let aloud = "-"

    /// Arguments with the value of `--speak` made plain: it has one only where a sound file follows.
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
        guard duration > .zero else { throw ValidationError("the duration must be more than 0") }
        return duration
    }

    private static func durationOrNone(_ text: String) throws -> Duration {
        guard let duration = ConfigurationNotation.duration(text), duration <= .seconds(86_400) else {
            throw ValidationError("a duration is written 500ms, 30s or 5m, and is 24h at most")
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
