// SPDX-License-Identifier: Apache-2.0

/// The measurements of a conversation: the delays until a response can be heard or read, and the share of speech that was played.
extension Session {
    /// Passes the waiting messages of the outbox to `write`, as ``Outbox/drainTagged(upTo:_:)`` does.
    ///
    /// - Returns: whether ``measureWritten(now:effects:)`` has something to record
    package mutating func drain(upTo limit: UInt64, _ write: (RawSpan, Outbox.Tag) -> Bool) -> Bool {
        outbox.drainTagged(upTo: limit, write)
        return !deliveryMarks.isEmpty
    }

    /// Records the delays of the messages that were written to the socket.
    ///
    /// - Parameter now: the time of the write
    package mutating func measureWritten(now: Instant, effects: inout Effects) {
        deliveryMarks.written(before: outbox.firstWaitingSequence, now: now, to: &effects.metrics.voice)
    }

    /// Measures the delay of a response's first text, which was just appended to the outbox.
    mutating func measureFirstText(at index: Int) {
        guard !inFlight[index].hasText else { return }
        inFlight[index].hasText = true
        mark(.firstText, at: index)
    }

    /// Measures the duration of a chunk of a response, and for the first one its delay.
    mutating func measureSpeech(_ nanoseconds: Int64, at index: Int, effects: inout Effects) {
        effects.metrics.voice.outNanoseconds &+= UInt64(max(0, nanoseconds))
        if !inFlight[index].hasAudio { mark(.firstAudio, at: index) }
        inFlight[index].hasAudio = true
        inFlight[index].spokenNanoseconds &+= nanoseconds
        inFlight[index].generatedNanoseconds &+= nanoseconds
    }

    private mutating func mark(_ kind: DeliveryMarks.Kind, at index: Int) {
        // While the session is detached, nothing is written. A response that begins before the end of speech has no delay.
        guard detachedAt == nil, let since = inFlight[index].inputCompletedAt else { return }
        deliveryMarks.add(kind, of: inFlight[index].key, sequence: outbox.lastSequence, since: since)
    }

    /// Records the played share of a response that the client cancels.
    mutating func measurePlayed(_ milliseconds: Int64?, at index: Int, effects: inout Effects) {
        guard let milliseconds else { return }
        effects.metrics.voice.recordPlayed(milliseconds, of: inFlight[index].spokenNanoseconds)
        inFlight[index].spokenNanoseconds = 0
    }

    /// Records the played share of a complete response when the client reports that playback has ended.
    mutating func measurePlayed(_ status: ClientMessage.Status, effects: inout Effects) {
        guard status.state != .playing, let id = status.replyTo, let played = status.playedMilliseconds else { return }
        guard let generated = unreportedSpeech.take(id) else { return }
        effects.metrics.voice.recordPlayed(played, of: generated)
    }
}
