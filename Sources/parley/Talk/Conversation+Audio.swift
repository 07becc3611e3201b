// SPDX-License-Identifier: Apache-2.0

import GatewayAudio
import GatewayCore
import GatewayServer
import ParleyClient

/// Audio in both directions: sending recordings, and receiving audio responses.
extension Conversation {
    // MARK: Sending

    func startUpload(_ file: RecordingFile) async {
        let id = nextID("a")
        let upload = AudioUpload(
            chunkCount: file.chunkCount, chunkDuration: file.chunkDuration, pace: plan.pace,
            gatewayFactor: limits[Limit.realtime.name])
        recording = Recording(id: id, file: file, upload: upload)
        exchanges.append(Exchange(id: id, kind: .audio, sentAt: now))
        restartTimeout()
        terminal.notice("→ \(file.summary)")
        await send(opening(of: file, id: id))
    }

    func opening(of file: RecordingFile, id: String) -> ClientRequest {
        .openAudio(
            id: id, format: file.wav.format, lang: plan.lang, meta: plan.echoesAudio ? ["echo": "audio"] : [:], speaks: plan.speaks)
    }

    /// Sends the chunks of the recording that are due.
    ///
    /// - Returns: the time of the next action; nil if the recording waits for a message from the gateway
    func sendRecording() async -> Instant? {
        while var current = recording, isOpen, !isEnding {
            let action = current.upload.nextAction(now: now)
            recording = current
            switch action {
            case .send(let number):
                do throws(WAVFault) {
                    let chunk = try current.file.chunk(number)
                    try? await client.send(binary: chunk)
                } catch {
                    await abandon(current, because: error)
                }
            case .resume(let chunk):
                await send(.resumeAudio(id: current.id, from: chunk))
            case .end:
                await send(.endAudio(id: current.id)) {
                    restartTimeout()
                    if let index = exchanges.firstIndex(where: { $0.id == current.id }) { exchanges[index].ended(now: now) }
                }
            case .wait(let until):
                return until
            }
            // Received messages are handled between two chunks.
            if client.hasEvents { return now }
        }
        return nil
    }

    private func abandon(_ recording: Recording, because fault: WAVFault) async {
        terminal.error("\(recording.file.path): \(fault)")
        hasFileFailed = true
        self.recording = nil
        await send(.cancel(id: recording.id))
    }

    /// Pauses the recording after a rejected chunk.
    ///
    /// - Returns: false if the recording can't continue
    func pause(_ error: ServerMessage.Failure) -> Bool {
        guard
            case .continues(let delay)? = recording?.upload.rejected(
                error.code, chunk: error.chunk, retryAfter: error.retryAfterMilliseconds, now: now)
        else { return false }
        restartTimeout(after: delay)
        terminal.notice("\(ClientText.safe(error.code)) at chunk \(error.chunk ?? 0); resuming in \(ConfigurationNotation.text(delay))")
        return true
    }

    // MARK: Receiving

    /// The accepted sample rates in Hz and channel counts, within the bounds of a WAV header.
    private static let rates = 1...768_000
    private static let channelCounts = 1...8

    private var sinks: [any AudioSink] {
        let all: [(any AudioSink)?] = [plan.audioFile, plan.player]
        return all.compactMap(\.self)
    }

    /// Handles the message that begins or ends an audio response.
    func handleAudio(_ message: ServerMessage) {
        if message.isFinal == true { return finishPlayback() }
        guard let announced = message.format else { return }
        finishPlayback()
        guard let codec = AudioFormat.Codec(rawValue: announced.codec), Self.rates.contains(announced.rate),
            Self.channelCounts.contains(announced.channels)
        else {
            if !sinks.isEmpty {
                reportFileFailure("audio format not supported: \(ClientText.safe(announced.codec)) at \(announced.rate) Hz")
            }
            return
        }
        let format = AudioFormat(codec: codec, rate: announced.rate, channels: announced.channels)
        playback = Playback(format: format)
        feed { sink throws(FileFault) in try sink.begin(format) }
    }

    /// Passes the bytes of a binary message to the sinks.
    func receiveAudio(_ bytes: [UInt8]) {
        guard playback.format != nil else { return }
        restartTimeout()
        playback.count += bytes.count
        if playback.isForwarded, !bytes.isEmpty, !sinks.isEmpty { hasReceivedAudio = true }
        feed { sink throws(FileFault) in try sink.append(bytes) }
    }

    /// Ends the audio response that is being received, if there is one.
    func finishPlayback() {
        guard let format = playback.format else { return }
        feed { sink throws(FileFault) in try sink.end() }
        terminal.notice("received \(playback.count) bytes of \(format.codec.rawValue) at \(format.rate) Hz")
        playback = Playback()
    }

    /// Completes the WAV file at the end of the conversation, and reports an error if requested audio never arrived.
    func finishAudio() {
        if let file = plan.audioFile, resumption.hadSession {
            do throws(FileFault) { try file.finish() } catch { reportFileFailure(ClientText.safe("\(error)")) }
        }
        guard plan.speaks, !plan.steps.isEmpty, !hasReceivedAudio, !hasFailed, !hasFileFailed, isEnding, exchanges.isEmpty else { return }
        hasFailed = true
        terminal.error("no audio received; the gateway has no TTS service for this request")
    }

    private func feed(_ body: (any AudioSink) throws(FileFault) -> Void) {
        guard playback.isForwarded else { return }
        for sink in sinks {
            do throws(FileFault) { try body(sink) } catch { reportFileFailure(ClientText.safe("\(error)")) }
        }
    }

    private func reportFileFailure(_ text: String) {
        hasFileFailed = true
        playback.isForwarded = false
        terminal.error(text)
    }
}
