import GatewayCore
import GatewayServer

/// Recordings, in both directions.
extension Conversation {
    /// Audio of the gateway that is being played.
    struct Playback {
        var format: AudioFormat?
        /// Bytes so far.
        var count = 0
        var isSaved = false
    }

    // MARK: Sending

    func play(_ file: RecordingFile) async {
        let id = nextID("a")
        let upload = AudioUpload(
            chunkCount: file.chunkCount, chunkDuration: file.chunkDuration, pace: plan.pace,
            gatewayFactor: limits["limits.audio_realtime_factor"])
        recording = Recording(id: id, file: file, upload: upload)
        exchanges.append(Exchange(id: id, kind: .audio, sentAt: now))
        renewPatience()
        terminal.notice("→ \(file.summary)")
        await send(.openAudio(id: id, format: file.wav.format, lang: plan.lang, meta: plan.echoesAudio ? ["echo": "audio"] : [:]))
    }

    /// Sends what is due of the recording.
    ///
    /// - Returns: when there is more to do; nil: not before the gateway says something.
    func sendRecording() async -> Instant? {
        while var current = recording, !isLeaving {
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
                    renewPatience()
                    if let index = exchanges.firstIndex(where: { $0.id == current.id }) { exchanges[index].ended(now: now) }
                }
                recording = nil
            case .wait(let until):
                return until
            }
            // Between two chunks there may be something to read.
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

    /// A refused chunk, after which the recording goes on; false when it can't.
    func pause(_ error: ServerMessage.Failure) -> Bool {
        guard
            case .goesOn(let delay)? = recording?.upload.refused(
                error.code, chunk: error.chunk, retryAfter: error.retryAfterMilliseconds, now: now)
        else { return false }
        renewPatience(after: delay)
        terminal.notice("\(ClientText.safe(error.code)) at chunk \(error.chunk ?? 0): going on in \(ConfigurationNotation.text(delay))")
        return true
    }

    // MARK: Hearing

    /// The beginning or the end of audio of the gateway.
    func listen(_ message: ServerMessage) {
        if message.isFinal == true { return finishPlayback() }
        guard let told = message.format, let codec = AudioFormat.Codec(rawValue: told.codec) else { return }
        finishPlayback()
        let format = AudioFormat(codec: codec, rate: told.rate, channels: told.channels)
        playback = Playback(format: format)
        guard let sound = plan.sound else { return }
        guard AudioFormat.rates.contains(format.rate), AudioFormat.channelCounts.contains(format.channels) else {
            return failFile("\(sound.path): audio of a strange format can't be saved")
        }
        do {
            playback.isSaved = try sound.begin(format)
            if !playback.isSaved { failFile("\(sound.path): \(codec.rawValue) can't be saved as WAV") }
        } catch {
            failFile("\(sound.path): \(FileFailure.text(error))")
        }
    }

    func hear(_ bytes: [UInt8]) {
        guard playback.format != nil else { return }
        renewPatience()
        playback.count += bytes.count
        guard playback.isSaved, let sound = plan.sound else { return }
        do { try sound.append(bytes) } catch { failFile("\(sound.path): \(FileFailure.text(error))") }
    }

    func finishPlayback() {
        guard let format = playback.format else { return }
        let count = playback.count
        if playback.isSaved, let sound = plan.sound {
            do { try sound.end(format, dataCount: count) } catch { failFile("\(sound.path): \(FileFailure.text(error))") }
        }
        terminal.notice("heard \(count) bytes of \(format.codec.rawValue) at \(format.rate) Hz")
        playback = Playback()
    }

    private func failFile(_ text: String) {
        hasFileFailed = true
        playback.isSaved = false
        terminal.error(text)
    }
}
