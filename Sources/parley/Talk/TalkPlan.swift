// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayAudio
import GatewayServer
import GatewayTLS
import NIOHTTP1
import ParleyClient

/// The validated arguments of `parley talk`, with all files opened, so that nothing is sent if one of them is invalid.
struct TalkPlan: Sendable {
    enum Step: Sendable {
        case text(String)
        case audio(RecordingFile)
    }

    /// The path that is requested if the URL has none.
    static let defaultPath = "/v1/ws"

    let url: WebSocketURL
    let options: ClientWebSocketOptions
    /// Whether the token is among the arguments, which other users of the machine can read.
    let exposesToken: Bool
    /// The requests to send; empty for a conversation over standard input.
    let steps: [Step]
    /// The file that received audio is written to.
    let audioFile: AudioFileWriter?
    /// The player of received audio.
    let player: AudioPlayer?
    let speaks: Bool
    let echoesAudio: Bool
    let pace: AudioUpload.Pace
    let streams: Bool
    let lang: String?
    let timeout: Duration
    let reconnect: Duration
    let history: HistoryFile?
    let pastLines: LineHistory
    let isQuiet: Bool
    let isJSON: Bool

    /// - Throws: `ValidationError`.
    init(_ arguments: TalkArguments) throws {
        do throws(WebSocketURL.Fault) {
            url = try WebSocketURL(arguments.url, defaultPath: Self.defaultPath)
        } catch {
            throw ValidationError("\(error)")
        }
        guard !(arguments.insecure && arguments.ca != nil) else { throw ValidationError("--insecure and --ca can't be combined") }
        guard !arguments.echoAudio || arguments.audio != nil || arguments.text.isEmpty else {
            throw ValidationError("--echo-audio requires --audio")
        }
        var options = ClientWebSocketOptions()
        if arguments.insecure { options.verification = .none }
        if let authority = arguments.ca {
            options.verification = .authority(path: authority)
            do throws(TLSConfigurationError) {
                _ = try TLSClientContext(verify: options.verification, serverName: nil)
            } catch {
                throw ValidationError("\(error)")
            }
        }
        if let token = try TalkToken.read(token: arguments.token, file: arguments.tokenFile) {
            options.headers.add(name: "Authorization", value: "Bearer \(token)")
        }
        exposesToken = arguments.token.map { $0 != "-" && !$0.hasPrefix("@") } ?? false
        options.timeout = arguments.timeout
        options.resolutions = arguments.resolve
        self.options = options
        var steps = arguments.text.map { Step.text($0) }
        if let path = arguments.audio { steps.append(.audio(try Self.recording(path))) }
        self.steps = steps
        let speechPath = arguments.speak.flatMap { $0 == TalkArguments.aloud ? nil : $0 }
        guard speechPath == nil || arguments.save == nil else { throw ValidationError("--speak FILE and --save can't be combined") }
        speaks = arguments.speak != nil
        history = arguments.history.map(HistoryFile.init)
        do throws(FileFault) {
            let path = speechPath ?? arguments.save
            audioFile = if let path { try AudioFileWriter(path: path) } else { nil }
            player = speaks && path == nil ? try AudioPlayer() : nil
            pastLines = try history?.read() ?? LineHistory()
        } catch {
            throw ValidationError("\(error)")
        }
        echoesAudio = arguments.echoAudio
        pace = arguments.pace == .fast ? .fast : .realtime
        streams = !arguments.noStream
        lang = arguments.lang
        timeout = arguments.timeout
        reconnect = arguments.reconnect ?? (steps.isEmpty && StandardInput.isTerminal ? .seconds(120) : .seconds(30))
        isQuiet = arguments.quiet
        isJSON = arguments.json
    }

    private static func recording(_ path: String) throws -> RecordingFile {
        do throws(WAVFault) {
            return try RecordingFile(path: path)
        } catch {
            throw ValidationError("\(path): \(error)")
        }
    }
}
