// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayAudio
import GatewayServer
import ParleyClient

/// Lines that the user enters: texts and commands.
extension Conversation {
    static let help = """
        /ping          measure the round-trip time
        /status        print the gateway's report of the session
        /audio FILE    send a WAV file
        /cancel [ID]   cancel a request; default: the most recent one
        /bye           end the session
        //text         send a text that begins with a slash
        """

    /// Runs a command, or sends the line as a text.
    func handleLine(_ line: String) async {
        guard !line.allSatisfy(\.isWhitespace) else { return }
        guard line.hasPrefix("/") else { return await sendText(line) }
        if line.hasPrefix("//") { return await sendText(String(line.dropFirst())) }
        let words = line.split(separator: " ", maxSplits: 1)
        let argument = words.count > 1 ? words[1].trimmingCharacters(in: .whitespaces) : ""
        switch words.first {
        case "/ping":
            let id = nextID("p")
            await send(.ping(id: id, milliseconds: Int64(Date().timeIntervalSince1970 * 1000))) { pings[id] = now }
        case "/status": await send(.status(id: nextID("s")))
        case "/audio": await startUpload(path: argument)
        case "/cancel":
            guard let id = argument.isEmpty ? exchanges.last?.id : argument else { return terminal.notice("nothing to cancel") }
            await send(.cancel(id: id, reason: "user"))
        case "/bye", "/quit": await sendBye()
        case "/help": terminal.notice(Self.help)
        default: terminal.notice("unknown command \(ClientText.safe(line)); /help lists the commands")
        }
    }

    private func startUpload(path: String) async {
        guard !path.isEmpty else { return terminal.notice("usage: /audio FILE") }
        guard recording?.upload.hasEnded ?? true else { return terminal.notice("a recording is already being sent; /cancel stops it") }
        do throws(WAVFault) {
            await startUpload(try RecordingFile(path: path))
        } catch {
            terminal.error("\(path): \(error)")
        }
    }
}
