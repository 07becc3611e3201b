// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Synchronization

/// The received part of a reply.
final class ReplyStorage: Sendable {
    struct Content {
        var deltas: [String] = []
        /// Chunks that aren't read yet.
        var audio: Deque<[UInt8]> = []
        var audioFormat: ParleyClient.AudioFormat?
        var transcript = ""
        var progress: String?
        var isAccepted = false
        var hasEnded = false
        var error: ParleyError?
        /// Bytes of the deltas and the unread audio.
        var byteCount = 0
    }

    private let content = Mutex(Content())
    private let signal = ChangeSignal()
    private let maximumBytes: Int

    init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    var snapshot: Content { content.withLock { $0 } }

    /// Records an event of this reply.
    ///
    /// - Returns: false if the reply has become too large
    func record(_ event: ParleyClient.Event) -> Bool {
        let fits = content.withLock { content in
            guard !content.hasEnded else { return true }
            switch event {
            case .accepted: content.isAccepted = true
            case .delta(_, let text, _):
                guard !text.isEmpty else { break }
                content.deltas.append(text)
                content.byteCount &+= text.utf8.count
            case .transcript(_, let text, let isFinal):
                // Bounded together with the deltas.
                guard isFinal, !text.isEmpty else { break }
                content.transcript += content.transcript.isEmpty ? text : " " + text
                content.byteCount &+= text.utf8.count
            case .audio(_, let format, let bytes):
                content.audioFormat = format
                content.audio.append(bytes)
                content.byteCount &+= bytes.count
            case .progress(_, let state): content.progress = state
            case .ended(_, let error):
                content.hasEnded = true
                content.error = error
            default: break
            }
            return content.byteCount <= maximumBytes
        }
        signal.notify()
        return fits
    }

    /// Returns the first result of `body` that isn't nil; nil if the reply ends, or the task is cancelled, before that.
    func first<Result: Sendable>(_ body: @Sendable (inout Content) -> Result?) async -> Result? {
        while true {
            let version = signal.version
            let (result, hasEnded) = content.withLock { (body(&$0), $0.hasEnded) }
            if let result { return result }
            guard !hasEnded, !Task.isCancelled else { return nil }
            await signal.wait(after: version)
        }
    }

    /// Throws the error with which the reply has ended, or the cancellation of the task.
    func checkEnd() throws(ParleyError) {
        let (hasEnded, error) = content.withLock { ($0.hasEnded, $0.error) }
        if let error { throw error }
        if !hasEnded { throw ParleyError("cancelled", "the task was cancelled") }
    }
}
