import ArgumentParser
import Foundation
import GatewayServer

/// What `parley talk` is to do, with all files opened: nothing is sent before everything is known to be good.
struct TalkPlan: Sendable {
    enum Step: Sendable {
        case text(String)
        case audio(RecordingFile)
    }

    /// Stands in for a path that the URL lacks.
    static let path = "/v1/ws"

    let url: WebSocketURL
    let options: GatewayClientOptions
    /// Empty for a conversation over standard input.
    let steps: [Step]
    let sound: SoundFile?
    let echoesAudio: Bool
    let pace: AudioUpload.Pace
    let streams: Bool
    let lang: String?
    let timeout: Duration
    let isQuiet: Bool
    let isJSON: Bool

    /// - Throws: `ValidationError`.
    init(_ arguments: TalkArguments) throws {
        do throws(WebSocketURL.Fault) {
            url = try WebSocketURL(arguments.url, defaultPath: Self.path)
        } catch {
            throw ValidationError("\(error)")
        }
        guard !(arguments.insecure && arguments.ca != nil) else { throw ValidationError("--insecure and --ca exclude each other") }
        guard !arguments.echoAudio || arguments.audio != nil || arguments.text.isEmpty else {
            throw ValidationError("--echo-audio needs --audio")
        }
        var options = GatewayClientOptions()
        if arguments.insecure { options.verification = .none }
        if let authority = arguments.ca {
            options.verification = .authority(path: authority)
            do throws(TLSConfigurationError) {
                _ = try TLSClientContext(verify: options.verification, serverName: nil)
            } catch {
                throw ValidationError("\(error)")
            }
        }
        options.timeout = arguments.timeout
        self.options = options
        var steps = arguments.text.map { Step.text($0) }
        if let path = arguments.audio { steps.append(.audio(try Self.recording(path))) }
        self.steps = steps
        do {
            sound = try arguments.save.map { try SoundFile(path: $0) }
        } catch {
            throw ValidationError("\(arguments.save ?? ""): \(FileFailure.text(error))")
        }
        echoesAudio = arguments.echoAudio
        pace = arguments.pace == .fast ? .fast : .realtime
        streams = !arguments.noStream
        lang = arguments.lang
        timeout = arguments.timeout
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
