import Foundation
import GatewayAudio
import GatewayCore
import GatewayServer
import Synchronization

/// The WAV file that audio of the gateway is written into as it comes. All sounds of a conversation are one sound in the file, whose
/// lengths are right at any time.
final class SoundFile: SoundSink {
    private struct State {
        var format: AudioFormat?
        /// Bytes of samples, and those of the sound that is going on.
        var count = 0
        var begun = 0
    }

    let path: String
    private let descriptor: Int32
    /// Pipes and devices get the header once, with the most that it can tell as its length.
    private let isSeekable: Bool
    private let state = Mutex(State())

    /// Makes the file, unless it's there. It is emptied when there is something to be written.
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
                    throw fault("audio of \(format.rate) Hz and \(format.channels) channels can't follow that of another format")
                }
            } else {
                guard let header = WAVFile.header(format, dataCount: isSeekable ? 0 : .max) else {
                    throw fault("\(format.codec.rawValue) can't be saved as WAV")
                }
                if isSeekable { _ = ftruncate(descriptor, 0) }
                try put(header, at: 0)
                state.format = format
            }
            state.begun = state.count
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

    /// The sound is cut to whole samples, so that another one can follow.
    func end() throws(FileFault) {
        try perform { state throws(FileFault) in
            guard let format = state.format, isSeekable, let header = WAVFile.header(format, dataCount: 0) else { return }
            state.count -= (state.count - state.begun) % format.frameBytes
            state.begun = state.count
            // A chunk has an even number of bytes in the file; the one that fills it up isn't counted.
            if state.count % 2 == 1 { try put([0], at: header.count + state.count) }
            _ = ftruncate(descriptor, off_t(header.count + state.count + state.count % 2))
            try putLengths(state)
        }
    }

    /// The end of the conversation: a file without any sound is a valid one, too.
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
