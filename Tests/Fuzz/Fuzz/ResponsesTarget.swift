// SPDX-License-Identifier: Apache-2.0

@testable import GatewayCore
@testable import GatewayServer

/// The parsers of upstream responses: event streams, chat completions, a process's lines with audio between them, WAV files, and the
/// messages in all of these.
///
/// Invariants: The result doesn't depend on how the bytes are split. Texts for clients are UTF-8, audio consists of whole samples,
/// and announced values are within their bounds. No more bytes are held than the limit and the last piece. The sentences concatenate to the
/// original text.
final class ResponsesTarget: FuzzTarget {
    /// A small limit that inputs reach, and one above the size of any input.
    private static let limits = [40, 1 << 16]

    func run(_ input: FuzzInput) {
        var input = input
        let kind = input.byte() % 5
        let limit = input.choose(Self.limits)
        let split = input.split()
        let bytes = input.bytes
        func compare(_ parse: ([[UInt8]]) -> [String]) {
            require(parse(split.pieces(of: bytes)) == parse([bytes]), "the result doesn't depend on the split")
        }
        switch kind {
        case 0: compare { Self.readEvents($0, limit: limit) }
        case 1: compare { Self.readLines($0, limit: limit) }
        case 2: compare(Self.readWAV)
        case 4: compare { Self.readChat($0, limit: limit) }
        default: Self.readMessage(bytes)
        }
        if String(validating: bytes, as: UTF8.self) != nil { Self.checkSentences(bytes, split: split) }
    }

    private static func readEvents(_ pieces: [[UInt8]], limit: Int) -> [String] {
        var events = ServerSentEvents(limit: limit)
        var stream = ResponseStream()
        var log: [String] = []
        do throws(ResponseFault) {
            for piece in pieces {
                try events.receive(piece.span.bytes) { (data) throws(ResponseFault) in
                    require(data.byteCount <= limit + 16, "an event doesn't exceed its limit")
                    log.append("\(data.byteCount)")
                    try stream.receive(try message(data)) { log.append(description(of: $0)) }
                }
                require(events.heldBytes <= 4 * (limit + 64) + 16_384, "\(events.heldBytes) bytes held")
            }
        } catch {
            log.append("\(error)")
        }
        return log
    }

    private static func readChat(_ pieces: [[UInt8]], limit: Int) -> [String] {
        var stream = ChatStream(limit: limit, findsReasoningTags: true)
        stream.begin(isDeclaredStream: false)
        var (text, isEnded): ([UInt8], Bool) = ([], false)
        var end = "open"
        func receive(_ step: ResponseStream.Step) {
            require(!isEnded, "nothing follows the last event")
            _ = description(of: step)
            switch step {
            case .event(.text(let delta, _)): text += delta
            case .last(.text(let delta, _), let summary):
                text += delta
                (isEnded, end) = (true, "\(summary)")
            case .failed: (isEnded, end) = (true, "failed")
            default: break
            }
        }
        let now = Instant(nanoseconds: 0)
        do throws(ResponseFault) {
            for piece in pieces { try stream.receive(piece.span.bytes, now: now, receive) }
            try stream.end(now: now, receive)
        } catch {
            end = "\(error.kind)"
        }
        return ["\(text)", end]
    }

    private static func readLines(_ pieces: [[UInt8]], limit: Int) -> [String] {
        var lines = ResponseLines(limit: limit)
        var stream = ResponseStream()
        var log: [String] = []
        do throws(ResponseFault) {
            for piece in pieces {
                try lines.receive(piece.span.bytes) { (line) throws(ResponseFault) in
                    require(line.byteCount <= limit, "a line doesn't exceed its limit")
                    var chunkBytes = 0
                    try stream.receive(try message(line)) { step in
                        if case .chunk(let count) = step { chunkBytes = count }
                        log.append(description(of: step))
                    }
                    require((0...UpstreamMessage.largestChunk).contains(chunkBytes), "a chunk's length is within its bounds")
                    return chunkBytes
                } onChunk: { (chunk) throws(ResponseFault) in
                    log.append("\(try stream.receive(chunk: chunk))")
                }
            }
        } catch {
            log.append("\(error)")
        }
        return log
    }

    private static func readWAV(_ pieces: [[UInt8]]) -> [String] {
        var stream = WAVStream()
        var samples: [UInt8] = []
        var formats: [AudioFormat] = []
        func collect(_ piece: WAVStream.Piece) {
            switch piece {
            case .format(let format): formats.append(format)
            case .samples(let whole):
                require(whole.count % (formats.last?.frameBytes ?? 1) == 0, "audio consists of whole samples")
                samples += whole
            }
        }
        do throws(ResponseFault) {
            for piece in pieces { try stream.receive(piece.span.bytes) { collect($0) } }
            stream.finish { collect($0) }
        } catch {
            // Which of several faults is found first depends on how many bytes have arrived.
            return samples.isEmpty ? ["rejected"] : ["\(error)"]
        }
        return ["\(formats)", "\(samples)"]
    }

    /// Parses the bytes as a whole message in each of the formats that upstreams send.
    private static func readMessage(_ bytes: [UInt8]) {
        guard String(validating: bytes, as: UTF8.self) != nil else { return }
        if let message = try? UpstreamMessage(bytes.span.bytes) {
            var stream = ResponseStream()
            try? stream.receive(message) { _ = description(of: $0) }
        }
        for mayBePlain in [false, true] {
            if let response = try? TranscriptionResponse(bytes.span.bytes, mayBePlain: mayBePlain) { check(response.text) }
        }
        if let response = try? VoskResponse(bytes.span.bytes) {
            check(response.text)
            check(fraction: response.confidence)
        }
    }

    /// Parses a message from arbitrary bytes, as the gateway does.
    private static func message(_ text: RawSpan) throws(ResponseFault) -> UpstreamMessage {
        try CollectedBody.read(text) { (text) throws(ResponseFault) in try UpstreamMessage(text) }
    }

    /// Checks a confidence or a progress.
    private static func check(fraction: Double?) {
        require(fraction.map { (0...1).contains($0) } ?? true, "a confidence or progress is between 0 and 1")
    }

    private static func check(_ text: [UInt8]?) {
        require(text.map { String(validating: $0, as: UTF8.self) != nil } ?? true, "a text is UTF-8")
    }

    private static func description(of step: ResponseStream.Step) -> String {
        switch step {
        case .event(let content), .last(let content, _):
            switch content {
            case .text(let text, _), .unsentText(let text): check(text)
            case .transcript(let text, _, let confidence, _, _):
                check(text)
                check(fraction: confidence)
            case .status(let state, let progress, _):
                require(state.utf8.count <= UpstreamMessage.longestState, "a state doesn't exceed its maximum length")
                check(fraction: progress)
            case .audio, .audioChunk, .audioEnd, .sentence, .failure: break
            }
        case .failed(_, let retryAfter): require(retryAfter.map { $0 >= 0 } ?? true, "retry_after isn't negative")
        case .chunk: break
        }
        return "\(step)"
    }

    private static func checkSentences(_ text: [UInt8], split: Split) {
        var splitter = SentenceSplitter()
        var sum: [UInt8] = []
        var fed: [UInt8] = []
        for piece in split.pieces(of: text) {
            fed += piece
            for sentence in splitter.append(piece) {
                sum += sentence
                require(!sentence.isEmpty, "a sentence isn't empty")
            }
            require(sum.count + splitter.heldBytes == fed.count, "no bytes are lost")
        }
        if let rest = splitter.finish() { sum += rest }
        let left = String(decoding: text.dropFirst(sum.count), as: UTF8.self)
        require(text.starts(with: sum) && left.unicodeScalars.allSatisfy(\.properties.isWhitespace), "sentences concatenate to the text")
        for strips in [false, true] {
            var segmenter = SpeechSegmenter(stripsMarkdown: strips)
            var sentences: [SpokenSentence] = []
            for piece in split.pieces(of: text) { sentences += segmenter.append(piece) }
            sentences += segmenter.finish()
            require(sentences.reduce(0) { $0 + $1.sourceCount } == text.count, "every byte belongs to a sentence")
            for sentence in sentences {
                require(String(validating: sentence.text, as: UTF8.self) != nil, "a spoken sentence is UTF-8")
                require(sentence.source(of: sentence.text.count) <= sentence.sourceCount, "a sentence maps to its own part of the text")
            }
        }
    }
}
