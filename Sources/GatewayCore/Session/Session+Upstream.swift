// SPDX-License-Identifier: Apache-2.0

extension Session {
    /// Returns how many events the upstream may send, at most `limit` and at most what fits into the outbox.
    ///
    /// Returns 0 while `delivery.socket_queue_bytes` or more wait for the socket of an attached session, and while less than a quarter of
    /// the memory budget is free. That quarter is reserved for data that can't be throttled.
    package func wantedEvents(upTo limit: Int, socketQueueBytes: Int) -> Int {
        guard detachedAt != nil || outbox.waitingBytes < socketQueueBytes else { return 0 }
        guard policy.value.memoryBudget == .max || memoryUsage.total < policy.value.memoryBudget / 4 * 3 else { return 0 }
        return min(limit, outbox.freeCount)
    }

    /// Removes `count` bytes, which the upstream has consumed, from its queue.
    package mutating func upstreamConsumed(_ count: Int) { inFlight.consume(count) }

    /// Records how much of a spoken response was played, in bytes of its text.
    package mutating func setPlayed(_ bytes: Int, of request: RequestKey) {
        if history.setPlayed(bytes, of: request) { changes &+= 1 }
    }

    /// Handles an event of an upstream. Events for a request that has ended, for instance by cancellation, are dropped.
    package mutating func receive(_ event: consuming UpstreamEvent, effects: inout Effects) {
        let request = event.request
        guard let index = inFlight.index(of: request) else { return }
        let id = inFlight[index].id
        var isLast = event.isLast
        let epilogue = event.epilogue
        var hasFailed = false
        markResponseBegun(at: index, now: effects.now)
        // Consumed to avoid copies: the cases below bind the event's own buffers.
        var content = (consume event).content
        if !content.isValidUTF8 {
            // An error replaces the event, and the stream continues.
            guard isLast else {
                let error = GatewayError(
                    .responseNotEncodable, source: .upstream, replyTo: id, correlationID: effects.correlationID())
                return report(error, effects: &effects)
            }
            content = .failure(.responseNotEncodable, retryAfterMilliseconds: nil)
        }
        if account != nil { noteUsage(of: content, at: index, effects: &effects) }
        switch consume content {
        case .text(let text, let final):
            inFlight[index].detectOutput(in: text)
            if !text.isEmpty { inFlight[index].mark(.firstToken, now: effects.now) }
            addToHistory(text, final: final, isLast: isLast, index: index, effects: &effects)
            let isEmpty = text.isEmpty
            sequence(TextMessage(id, text, isFinal: final, end: isLast ? .done(epilogue) : .open), request: request, effects: &effects)
            if !isEmpty { measureFirstText(at: index) }
        case .unsentText(let text):
            inFlight[index].detectOutput(in: text)
            if !text.isEmpty { inFlight[index].mark(.firstToken, now: effects.now) }
            addToHistory(text, final: false, isLast: false, index: index, effects: &effects)
        case .transcript(let text, let final, let confidence, let start, let end):
            if final {
                inFlight[index].markTranscript(now: effects.now)
                addToHistory(transcript: text, isLast: isLast, index: index, effects: effects)
            }
            let message = TranscriptMessage(
                id, text, isFinal: final, confidence: confidence, startMilliseconds: start, endMilliseconds: end,
                end: isLast ? .done(epilogue) : .open)
            sequence(message, request: request, effects: &effects)
        case .audio(let format):
            inFlight[index].responseClock = AudioStreamClock(format: format)
            inFlight[index].isAudioOpen = true
            let message = AudioMessage(id, format, isFinal: false, end: isLast ? .done(epilogue) : .open)
            sequence(message, kind: .opening, request: request, effects: &effects)
        case .audioEnd(let format):
            inFlight[index].isAudioOpen = false
            let message = AudioMessage(id, format, isFinal: true, end: isLast ? .done(epilogue) : .open)
            sequence(message, request: request, effects: &effects)
        case .audioChunk(let chunk):
            inFlight[index].hasOutput = true
            inFlight[index].mark(.firstAudio, now: effects.now)
            chunk.withRawSpan { bytes in
                outbox.append(bytes, kind: .binary, request: request)
                let duration = inFlight[index].responseClock?.nanoseconds(adding: bytes)
                inFlight[index].responseAudio.add(bytes, lasting: duration ?? 0)
                measureSpeech(duration ?? 0, at: index, effects: &effects)
            }
            counts.messagesOut &+= 1
        case .sentence: break
        case .status(let state, let progress, let reasoningBytes):
            let message = StatusMessage(
                id, state, progress: progress, reasoningBytes: reasoningBytes, end: isLast ? .done(epilogue) : .open)
            sequence(message, request: request, effects: &effects)
        case .failure(let reason, let retryAfter, let isRetryable):
            isLast = true
            let error = GatewayError(
                reason, source: reason.code.isClientFault ? .client : .upstream, replyTo: id, retryAfter: retryAfter,
                isRetryable: isRetryable, correlationID: epilogue?.correlationID ?? effects.correlationID())
            fail(request, error, epilogue, effects: &effects)
            hasFailed = true
        }
        if account != nil { chargeResponse(at: index, isLast: isLast, epilogue, effects: &effects) }
        guard isLast else { return }
        recordLatency(at: index, effects: &effects)
        setInclusion(at: index, hasFailed: hasFailed, finish: epilogue?.finish)
        if audioInput.stream?.key == request { audioInput.abandon() }
        finish(request, effects: &effects)
    }

    /// Marks the response as begun with its first event.
    private mutating func markResponseBegun(at index: Int, now: Instant) {
        guard !inFlight[index].hasResponse else { return }
        inFlight[index].hasResponse = true
        inFlight[index].responseBeganAt = now
        changes &+= 1
        if inFlight[index].audio.bytes == 0 { updateResponseDelay(since: inFlight[index].startedAt, now: now) }
    }

    private mutating func addToHistory(transcript text: [UInt8], isLast: Bool, index: Int, effects: borrowing Effects) {
        // For a transcription-only route, the final transcript completes the request.
        let latency = isLast ? inFlight[index].latency(now: effects.now) : nil
        inFlight[index].hasLatencyEntry = isLast
        let key = inFlight[index].key
        text.withRawSpan { history.append($0, .init(.client, .transcript, at: effects.wall, latency: latency, request: key)) }
    }

    /// Smooths the delay by an eighth of each new sample, as TCP does with its round-trip time (RFC 6298 §2).
    private mutating func updateResponseDelay(since start: Instant, now: Instant) {
        let delay = max(0, now.nanoseconds(since: start))
        responseDelay = responseDelay.map { $0 + (delay - $0) / 8 } ?? delay
    }

    /// How long the `ack` of a text may be delayed to share a write with the response, in nanoseconds: twice the usual delay of responses,
    /// at most 100 ms, which users don't notice. Nil when responses take longer, messages wait for the socket, or an audio stream is open.
    ///
    /// TCP delays acknowledgements likewise (RFC 9293 §3.8.6.3). A separate write costs as much as all other work for a text.
    package var acknowledgementDelay: Int64? {
        guard !inFlight.isEmpty, !outbox.hasWaiting, audioInput.stream == nil else { return nil }
        guard let responseDelay else { return Self.firstAcknowledgementDelay }
        guard responseDelay <= Self.longestAcknowledgementDelay / 2 else { return nil }
        return min(max(2 * responseDelay, Self.firstAcknowledgementDelay), Self.longestAcknowledgementDelay)
    }

    private static let firstAcknowledgementDelay: Int64 = 5_000_000
    private static let longestAcknowledgementDelay: Int64 = 100_000_000

    mutating func fail(_ request: RequestKey, _ error: GatewayError, _ epilogue: UpstreamEvent.Epilogue?, effects: inout Effects) {
        var epilogue = epilogue ?? UpstreamEvent.Epilogue()
        epilogue.finish = .error
        effects.incidents.append(error)
        note(.failed(error.code), of: error.correlationID, wall: effects.wall)
        counts.errors &+= 1
        // Latency is recorded only for responses, not for errors.
        if let index = inFlight.index(of: request) {
            inFlight[index].hasLatencyEntry = true
            inFlight[index].outcome = .failed
            inFlight[index].add(Turn.Failure(at: effects.wall, code: error.code, correlationID: error.correlationID))
        }
        sequence(ErrorMessage(error, showsDetails: effects.showsDetails, end: .done(epilogue)), request: request, effects: &effects)
    }

    /// Sets whether later requests include a completed request in their conversation.
    mutating func setInclusion(at index: Int, hasFailed: Bool, finish: FinishReason?) {
        let (key, hasOutput) = (inFlight[index].key, inFlight[index].hasOutput)
        // A content filter that blocked a text once would block every later request that includes it.
        guard hasOutput, finish != .contentFilter else { return history.setInclusion(.excluded, of: key) }
        if hasFailed { history.setInclusion(.incomplete, of: key) }
    }

    /// Adds a text to the history. The deltas of a streamed response become one entry.
    private mutating func addToHistory(_ text: [UInt8], final: Bool, isLast: Bool, index: Int, effects: inout Effects) {
        let isWhole = final && inFlight[index].responseText.isEmpty && !inFlight[index].isResponseTruncated
        // Truncated at the first delta that doesn't fit: a text with a gap was never sent.
        if !isWhole, !inFlight[index].isResponseTruncated,
            inFlight[index].responseText.count + text.count <= min(policy.value.historyBytes, 1 << 20)
        {
            inFlight[index].responseText += text
        } else if !isWhole {
            inFlight[index].isResponseTruncated = true
        }
        guard final else { return }
        var tag = History.Tag(.upstream, at: effects.wall, request: inFlight[index].key)
        if isLast, inFlight[index].responseAudio.bytes == 0 {
            tag.latency = inFlight[index].latency(now: effects.now)
            inFlight[index].hasLatencyEntry = true
        }
        if isWhole { return text.withRawSpan { history.append($0, tag) } }
        let response = inFlight[index].responseText
        inFlight[index].responseText = []
        inFlight[index].isResponseTruncated = false
        response.withRawSpan { history.append($0, tag) }
    }

    /// Adds the latency of a completed response to the history, as part of its last entry.
    private mutating func recordLatency(at index: Int, effects: inout Effects) {
        guard !inFlight[index].hasLatencyEntry else { return }
        inFlight[index].hasLatencyEntry = true
        let (text, audio, key) = (inFlight[index].responseText, inFlight[index].responseAudio, inFlight[index].key)
        var tag = History.Tag(.upstream, at: effects.wall, latency: inFlight[index].latency(now: effects.now), request: key)
        inFlight[index].responseText = []
        inFlight[index].responseAudio = History.Audio()
        if audio.bytes > 0 {
            text.withRawSpan { history.append($0, .init(.upstream, at: effects.wall, request: key)) }
            (tag.kind, tag.audio) = (.audio, audio)
            history.append(RawSpan(), tag)
        } else {
            text.withRawSpan { history.append($0, tag) }
        }
    }

    /// Adds the amount of a request's audio input to the history.
    mutating func addAudioToHistory(of request: InFlightRequest, wall: Int64) {
        history.append(RawSpan(), .init(.client, .audio, at: wall, audio: request.audio, request: request.key))
    }

    /// Adds the parts of a completed, failed or cancelled request that aren't in the history yet.
    mutating func addToHistory(_ request: consuming InFlightRequest, wall: Int64) {
        if request.audio.bytes > 0, !request.inputEnded { addAudioToHistory(of: request, wall: wall) }
        if !request.responseText.isEmpty {
            request.responseText.withRawSpan { history.append($0, .init(.upstream, at: wall, request: request.key)) }
        }
        if request.responseAudio.bytes > 0 {
            history.append(RawSpan(), .init(.upstream, .audio, at: wall, audio: request.responseAudio, request: request.key))
        }
    }
}

extension UpstreamEvent.Content {
    /// Whether every text is valid UTF-8, as JSON requires (RFC 8259 §8.1).
    fileprivate var isValidUTF8: Bool {
        switch self {
        case .text(let text, _), .unsentText(let text), .transcript(let text, _, _, _, _):
            var validator = UTF8Validator()
            return text.withRawSpan { validator.accept($0) } && validator.isComplete
        default: return true
        }
    }
}

extension ErrorCode {
    /// Whether the client is at fault when an accepted request fails with this code.
    fileprivate var isClientFault: Bool { self == .audioTooLarge || self == .invalidAudio || self == .notFound || self == .forbidden }
}
