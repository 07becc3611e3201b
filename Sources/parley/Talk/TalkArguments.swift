import ArgumentParser
import GatewayServer

/// What can be said on the command line of `parley talk`.
struct TalkArguments: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "talk", _superCommandName: "parley", abstract: "Talk to a gateway from the terminal.",
        discussion: """
            Without --text and --audio, each line of standard input is a text; /help lists the commands. Replies go to standard output, \
            everything else to standard error.

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

    @Flag(exclusivity: .exclusive)
    var pace = Pace.realtime

    @Flag(help: "Ask for whole answers instead of pieces.")
    var noStream = false

    @Option(help: ArgumentHelp("The language spoken, as in BCP 47.", valueName: "tag"))
    var lang: String?

    @Option(
        help: ArgumentHelp("How long to wait for the connection, and for each sign of an answer. (default: 30s)", valueName: "duration"),
        transform: Self.duration)
    var timeout = Duration.seconds(30)

    @Flag(name: .shortAndLong, help: "Nothing on standard error but errors.")
    var quiet = false

    @Flag(help: "Print each message of the gateway as it came, one a line; a binary one as {\"binary\":bytes}.")
    var json = false

    private static func duration(_ text: String) throws -> Duration {
        guard let duration = ConfigurationNotation.duration(text), duration > .zero, duration <= .seconds(86_400) else {
            throw ValidationError("a duration is written 500ms, 30s or 5m, and is 24h at most")
        }
        return duration
    }
}
