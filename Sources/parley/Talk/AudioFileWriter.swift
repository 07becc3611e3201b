// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayAudio
import GatewayCore
import GatewayServer
import ParleyClient
import Synchronization

/// Writes received audio to a WAV file. All audio responses of a conversation are concatenated, and the header is updated after each write.
final class AudioFileWriter: AudioSink {
    private struct State {
        var format: AudioFormat?
        /// Bytes of samples.
        var count = 0
        /// The value of `count` at the start of the current audio response.
        var responseStart = 0
    }

    let path: String
    private let descriptor: Int32
    /// Whether the header can be rewritten. Pipes and devices get one header, with the maximum length.
    private let isSeekable: Bool
    private let state = Mutex(State())

    /// Opens or creates the file. An existing file is truncated when the first audio is written.
    init(path: String) throws(FileFault) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileFault(path: path, reason: Descriptor.text(errno)) }
        isSeekable = lseek(descriptor, 0, SEEK_CUR) >= 0
    }

    deinit { close(descriptor) }

    var isEmpty: Bool { state.withLock { $0.count == 0 } }

    func begin(_ format: AudioFormat) throws(FileFault) {
        try perform { state throws(FileFault) in
            if let first = state.format {
                guard first == format else {
                    throw fault("the audio format changed to \(format.rate) Hz, \(format.channels) channels; a WAV file has one format")
                }
            } else {
                guard let header = WAVFile.header(format, dataCount: isSeekable ? 0 : .max) else {
                    throw fault("\(format.codec.rawValue) can't be stored in a WAV file")
                }
                if isSeekable { _ = ftruncate(descriptor, 0) }
                try put(header, at: 0)
                state.format = format
            }
            state.responseStart = state.count
        }
    }

    func append(_ bytes: [UInt8]) throws(FileFault) {
        try perform { state throws(FileFault) in
            guard let format = state.format, let header = WAVFile.header(format, dataCount: 0) else { return }
            try put(bytes, at: header.count + state.count)
            state.count += bytes.count
            try putLengths(state)
        }
    }

    /// Ends an audio response, and truncates it to whole samples, so that the next response can be appended.
    func end() throws(FileFault) {
        try perform { state throws(FileFault) in
            guard let format = state.format, isSeekable, let header = WAVFile.header(format, dataCount: 0) else { return }
            state.count -= (state.count - state.responseStart) % format.frameBytes
            state.responseStart = state.count
            // RIFF pads chunks to an even number of bytes; the pad byte isn't included in the chunk's length.
            if state.count % 2 == 1 { try put([0], at: header.count + state.count) }
            _ = ftruncate(descriptor, off_t(header.count + state.count + state.count % 2))
            try putLengths(state)
        }
    }

    /// Completes the file at the end of the conversation. If no audio was received, the file is a valid WAV file without samples.
    func finish() throws(FileFault) {
        if state.withLock({ $0.format == nil }) { try begin(ClientRequest.spokenFormat) }
        try end()
        _ = fsync(descriptor)
    }

    private func putLengths(_ state: State) throws(FileFault) {
        guard isSeekable, let format = state.format, let header = WAVFile.header(format, dataCount: state.count) else { return }
        try put(header, at: 0)
    }

    private func put(_ bytes: [UInt8], at offset: Int) throws(FileFault) {
        let failure =
            isSeekable ? Descriptor.write(bytes, to: descriptor, at: offset) : Descriptor.write(bytes, to: descriptor)
        if let failure { throw fault(Descriptor.text(failure)) }
    }

    private func fault(_ reason: String) -> FileFault { FileFault(path: path, reason: reason) }

    private func perform(_ body: (inout State) throws(FileFault) -> Void) throws(FileFault) {
        let result = state.withLock { state -> Result<Void, FileFault> in
            do throws(FileFault) {
                try body(&state)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }
}
