import DequeModule
import GatewayAudio
package import GatewayCore
package import NIOCore

/// The upstream that needs nothing installed: it says back what it was told.
///
/// A text comes back word by word when the client streams and it has more than ``longestUnstreamed`` words, else in one piece. Audio is
/// answered with a transcript that measures it; with `meta: {"echo":"audio"}` it is played back as it comes in. It honours demand like
/// any other upstream: what it may not answer yet waits, and counts toward `delivery.upstream_queue_bytes`.
package final class LoopbackLink: UpstreamLink {
    package static let longestUnstreamed = 20

    /// One request being answered.
    private struct Work {
        enum Kind {
            case text([UInt8], next: Int, isStreamed: Bool)
            case audio(Recording)
        }

        let key: RequestKey
        var kind: Kind
    }

    /// A reference, so that a chunk changes it where it is.
    private final class Recording {
        let format: AudioFormat
        let playsBack: Bool
        var meter: AudioMeter
        var chunks: Deque<[UInt8]> = []
        var isPlaying = false
        var isPlayed = false
        var hasEnded = false

        init(format: AudioFormat, playsBack: Bool) {
            self.format = format
            self.playsBack = playsBack
            meter = AudioMeter(format: format)
        }
    }

    private var session: (any UpstreamEventSink)?
    private var works: [Work] = []
    private var credit = 0
    private var isPumping = false

    package init(session: any UpstreamEventSink) { self.session = session }

    package func send(_ command: UpstreamCommand, audio: [UInt8]) {
        switch command {
        case .start(let request):
            switch request.input {
            case .text(let text):
                let isStreamed = request.stream && Words.count(in: text, upTo: Self.longestUnstreamed + 1) > Self.longestUnstreamed
                works.append(Work(key: request.key, kind: .text(text, next: 0, isStreamed: isStreamed)))
            case .audio(let format), .recording(let format, _):
                let playsBack = request.meta("echo")?.elementsEqual("audio".utf8) ?? false
                works.append(Work(key: request.key, kind: .audio(Recording(format: format, playsBack: playsBack))))
            }
        case .audio(let key, let chunk): hear(audio[chunk], of: key)
        case .audioEnd(let key): recording(key)?.hasEnded = true
        case .cancel(let key, _): drop(key)
        case .clientState: break
        }
        pump()
    }

    package func demand(_ events: Int) {
        credit += events
        pump()
    }

    package func withdraw() -> Int {
        defer { credit = 0 }
        return credit
    }

    package func leave() { session = nil }

    package func move(to session: any UpstreamEventSink & ConversationSource, on eventLoop: any EventLoop) { self.session = session }

    /// All of it waits for the upstream, and is counted as that.
    package var heldBytes: Int { 0 }
    package var isAtOnce: Bool { true }

    package func close() {
        works = []
        session = nil
    }

    private func hear(_ chunk: ArraySlice<UInt8>, of key: RequestKey) {
        let recording = recording(key)
        recording?.meter.measure(chunk.span.bytes)
        if let recording, recording.playsBack { recording.chunks.append(Array(chunk)) } else { session?.consumed(chunk.count) }
    }

    private func recording(_ key: RequestKey) -> Recording? {
        for work in works where work.key == key {
            if case .audio(let recording) = work.kind { return recording }
        }
        return nil
    }

    private func drop(_ key: RequestKey) {
        guard let index = works.firstIndex(where: { $0.key == key }) else { return }
        let work = works.remove(at: index)
        switch work.kind {
        case .text(let text, let next, _): session?.consumed(text.count - next)
        case .audio(let recording): session?.consumed(recording.chunks.reduce(0) { $0 + $1.count })
        }
    }

    /// Answers in order of arrival; an open recording doesn't hold up the texts behind it.
    private func pump() {
        guard !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        var index = 0
        while credit > 0, index < works.count {
            guard let event = next(at: index) else {
                index += 1
                continue
            }
            credit -= 1
            if event.isLast { works.remove(at: index) }
            session?.deliver(event)
            // From the start again: the session may have sent or cancelled something from inside.
            index = 0
        }
    }

    private func next(at index: Int) -> UpstreamEvent? {
        let key = works[index].key
        switch works[index].kind {
        case .text(let text, let start, let isStreamed):
            guard isStreamed else {
                session?.consumed(text.count)
                return UpstreamEvent(key, .text(text, final: true), isLast: true)
            }
            let end = Words.end(after: start, in: text)
            works[index].kind = .text(text, next: end, isStreamed: true)
            session?.consumed(end - start)
            let isFinal = end == text.count
            return UpstreamEvent(key, .text(Array(text[start..<end]), final: isFinal), isLast: isFinal)
        case .audio(let recording):
            let event = Self.next(of: recording, key: key)
            if case .audioChunk(let chunk)? = event?.content { session?.consumed(chunk.count) }
            return event
        }
    }

    private static func next(of recording: Recording, key: RequestKey) -> UpstreamEvent? {
        if recording.playsBack, !recording.isPlayed {
            if !recording.chunks.isEmpty, !recording.isPlaying {
                recording.isPlaying = true
                return UpstreamEvent(key, .audio(recording.format))
            }
            if let chunk = recording.chunks.popFirst() { return UpstreamEvent(key, .audioChunk(chunk)) }
            if recording.hasEnded {
                recording.isPlayed = true
                if recording.isPlaying { return UpstreamEvent(key, .audioEnd(recording.format)) }
            }
        }
        guard recording.hasEnded else { return nil }
        let summary = recording.meter.summary()
        return UpstreamEvent(
            key, .transcript(summary, final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil), isLast: true)
    }
}

/// Gives every session a ``LoopbackLink``.
package struct LoopbackProvider: UpstreamProvider {
    private final class Loop: UpstreamLoop {
        func makeLink(for session: any UpstreamEventSink & ConversationSource, id: ULID) -> any UpstreamLink {
            LoopbackLink(session: session)
        }
        func tick(now: Instant) {}
        func reload() {}
        func shutDown() {}
    }

    package init() {}

    package func makeLoop(on eventLoop: any EventLoop, now: @escaping () -> Instant) -> any UpstreamLoop { Loop() }
    package var state: UpstreamState { .ready }
    package var paths: Set<String> { [] }
    package var statistics: [UpstreamStatistics] { [] }
}
