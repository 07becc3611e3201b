import Foundation
import GatewayAudio
import GatewayServer

/// What the user says.
extension Conversation {
    static let help = """
        /ping          how long the gateway takes to answer
        /status        the session as the gateway sees it
        /audio FILE    send a WAV file
        /cancel [ID]   stop a request, the last one unless named
        /bye           end the session
        //text         a text that begins with a slash
        """

    func obey(_ line: String) async {
        guard !line.allSatisfy(\.isWhitespace) else { return }
        guard line.hasPrefix("/") else { return await say(line) }
        if line.hasPrefix("//") { return await say(String(line.dropFirst())) }
        let words = line.split(separator: " ", maxSplits: 1)
        let argument = words.count > 1 ? words[1].trimmingCharacters(in: .whitespaces) : ""
        switch words.first {
        case "/ping":
            let id = nextID("p")
            await send(.ping(id: id, milliseconds: Int64(Date().timeIntervalSince1970 * 1000))) { pings[id] = now }
        case "/status": await send(.status(id: nextID("s")))
        case "/audio": await play(path: argument)
        case "/cancel":
            guard let id = argument.isEmpty ? exchanges.last?.id : argument else { return terminal.notice("nothing to cancel") }
            await send(.cancel(id: id, reason: "user"))
        case "/bye", "/quit": await leave()
        case "/help": terminal.notice(Self.help)
        default: terminal.notice("\(ClientText.safe(line)): no such command; /help lists them")
        }
    }

    private func play(path: String) async {
        guard !path.isEmpty else { return terminal.notice("which file? /audio FILE") }
        guard recording?.upload.hasEnded ?? true else { return terminal.notice("one recording at a time; /cancel stops it") }
        do throws(WAVFault) {
            await play(try RecordingFile(path: path))
        } catch {
            terminal.error("\(path): \(error)")
        }
    }
}
