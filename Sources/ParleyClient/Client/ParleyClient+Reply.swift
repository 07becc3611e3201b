// SPDX-License-Identifier: Apache-2.0

import DequeModule

extension ParleyClient {
    /// The response to one request, as it arrives: a sequence of the pieces of its text.
    ///
    /// Iteration begins with the first piece, however late, and throws if the response fails. A reply ends exactly once: complete, or with a
    /// ``ParleyError``, whose code is `cancelled` after ``cancel(playedMilliseconds:)`` and `lost` if the gateway has lost the response. A reply that
    /// nobody reads is received nevertheless.
    public final class Reply: AsyncSequence, Sendable {
        public typealias Element = String
        public typealias Failure = ParleyError

        /// The id of the request.
        public let id: String
        let storage: ReplyStorage
        private let core: ClientCore

        init(id: String, storage: ReplyStorage, core: ClientCore) {
            self.id = id
            self.storage = storage
            self.core = core
        }

        /// The complete text.
        ///
        /// - Throws: if the response fails or is cancelled
        public var text: String {
            get async throws(ParleyError) {
                let text: String? = await storage.first { $0.hasEnded && $0.error == nil ? $0.deltas.joined() : nil }
                guard let text else {
                    try storage.checkEnd()
                    return partialText
                }
                return text
            }
        }

        /// The text that has arrived so far.
        public var partialText: String { storage.snapshot.deltas.joined() }
        /// The final transcripts so far of a request with audio.
        public var transcript: String { storage.snapshot.transcript }
        /// The progress that the gateway reported last, such as `thinking`.
        public var progress: String? { storage.snapshot.progress }
        /// The format of ``audio``; nil before the first chunk.
        public var audioFormat: AudioFormat? { storage.snapshot.audioFormat }
        public var hasEnded: Bool { storage.snapshot.hasEnded }
        /// The error with which the reply ended; nil if the reply is complete or hasn't ended.
        public var error: ParleyError? { storage.snapshot.error }

        /// Returns when the gateway has accepted the request: nothing that its store survives loses the request from then on.
        ///
        /// - Throws: if the request fails before
        public func accepted() async throws(ParleyError) {
            let isAccepted: Bool? = await storage.first { $0.isAccepted ? true : nil }
            if isAccepted == nil { try storage.checkEnd() }
        }

        /// The chunks of a spoken response. Each chunk is delivered once, to the first reader that asks for it.
        public var audio: Audio { Audio(storage: storage) }

        /// Stops the response. The reply ends at once, with the error `cancelled`.
        ///
        /// - Parameter playedMilliseconds: how much of a spoken response was played
        public func cancel(playedMilliseconds: Int? = nil) {
            core.cancel(id, reason: nil, playedMilliseconds: playedMilliseconds.map(Int64.init))
        }

        public func makeAsyncIterator() -> Iterator { Iterator(storage: storage) }

        public struct Iterator: AsyncIteratorProtocol {
            public typealias Failure = ParleyError

            let storage: ReplyStorage
            private var index = 0

            init(storage: ReplyStorage) { self.storage = storage }

            public mutating func next() async throws(ParleyError) -> String? {
                let index = index
                let delta: String? = await storage.first { index < $0.deltas.count ? $0.deltas[index] : nil }
                guard let delta else {
                    try storage.checkEnd()
                    return nil
                }
                self.index += 1
                return delta
            }
        }

        /// The chunks of a spoken response.
        public struct Audio: AsyncSequence, Sendable {
            public typealias Element = [UInt8]
            public typealias Failure = ParleyError

            let storage: ReplyStorage

            public func makeAsyncIterator() -> Iterator { Iterator(storage: storage) }

            public struct Iterator: AsyncIteratorProtocol {
                public typealias Failure = ParleyError

                let storage: ReplyStorage

                public mutating func next() async throws(ParleyError) -> [UInt8]? {
                    let chunk: [UInt8]? = await storage.first { content in
                        guard let chunk = content.audio.popFirst() else { return nil }
                        content.byteCount -= chunk.count
                        return chunk
                    }
                    if chunk == nil { try storage.checkEnd() }
                    return chunk
                }
            }
        }
    }
}
