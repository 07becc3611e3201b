// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayAudio
package import GatewayCore
package import NIOCore

/// The link of the built-in loopback upstream, which echoes its input.
///
/// Text is echoed word by word when the client streams and the text has more than ``maxUnstreamedWords`` words, else in one piece. The
/// response to audio is a transcript with measurements; with `meta: {"echo":"audio"}` the audio itself is echoed as well. Input is queued
/// while there is no demand for its response, and counts toward `delivery.upstream_queue_bytes`.
package final class LoopbackLink: UpstreamLink {
    /// Maximum number of words that are echoed in one piece when the client streams.
    package static let maxUnstreamedWords = 20

    /// One request in flight.
    private struct Work {
        enum Kind {
            case text([UInt8], next: Int, isStreamed: Bool)
            case audio(Recording)
        }

        let key: RequestKey
        var kind: Kind
        /// Nil without tracing.
        var trace: MessageTrace?
    }

    /// The audio of one request. A class, so that chunks are appended in place.
    private final class Recording {
        let format: AudioFormat
        let echoesAudio: Bool
        var meter: AudioMeter
        var chunks: Deque<[UInt8]> = []
        var hasEchoBegun = false
        var hasEchoEnded = false
        var hasEnded = false

        init(format: AudioFormat, echoesAudio: Bool) {
            self.format = format
            self.echoesAudio = echoesAudio
            meter = AudioMeter(format: format)
        }
    }

    private var session: (any UpstreamEventSink)?
    private var requests: [Work] = []
    private var credit = 0
    private var isPumping = false

    private let id: ULID
    private let tracer: Tracer?

    package init(session: any UpstreamEventSink, id: ULID = ULID(high: 0, low: 0), tracer: Tracer? = nil) {
        self.session = session
        self.id = id
        self.tracer = tracer
    }

    package func send(_ command: UpstreamCommand, audio: [UInt8]) {
        switch command {
        case .start(let request):
            session?.routed(request.key, to: .unrouted)
            let trace = tracer?.beginMessage(request, session: id)
            switch request.input {
            case .text(let text):
                let isStreamed = request.stream && Words.count(in: text, upTo: Self.maxUnstreamedWords + 1) > Self.maxUnstreamedWords
                requests.append(Work(key: request.key, kind: .text(text, next: 0, isStreamed: isStreamed), trace: trace))
            case .audio(let format), .recording(let format, _):
                let echoesAudio = request.meta("echo")?.elementsEqual("audio".utf8) ?? false
                requests.append(Work(key: request.key, kind: .audio(Recording(format: format, echoesAudio: echoesAudio)), trace: trace))
            }
        case .audio(let key, let chunk): receive(audio[chunk], of: key)
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

    package func detach() { session = nil }

    package func move(to session: any UpstreamEventSink & ConversationSource, on eventLoop: any EventLoop) { self.session = session }

    /// 0: the session already counts everything that the loopback holds as waiting for the upstream.
    package var heldBytes: Int { 0 }
    package var isSynchronous: Bool { true }

    package func close() {
        for work in requests { work.trace?.cancel(.session) }
        requests = []
        session = nil
    }

    private func receive(_ chunk: ArraySlice<UInt8>, of key: RequestKey) {
        let recording = recording(key)
        recording?.meter.measure(chunk.span.bytes)
        if let recording, recording.echoesAudio { recording.chunks.append(Array(chunk)) } else { session?.consumed(chunk.count) }
    }

    private func recording(_ key: RequestKey) -> Recording? {
        for work in requests where work.key == key {
            if case .audio(let recording) = work.kind { return recording }
        }
        return nil
    }

    private func drop(_ key: RequestKey) {
        guard let index = requests.firstIndex(where: { $0.key == key }) else { return }
        let work = requests.remove(at: index)
        work.trace?.cancel(.client)
        switch work.kind {
        case .text(let text, let next, _): session?.consumed(text.count - next)
        case .audio(let recording): session?.consumed(recording.chunks.reduce(0) { $0 + $1.count })
        }
    }

    /// Delivers events in order of arrival while there is demand. An open recording doesn't block the texts behind it.
    private func pump() {
        guard !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        var index = 0
        while credit > 0, index < requests.count {
            guard let event = next(at: index) else {
                index += 1
                continue
            }
            credit -= 1
            if event.isLast { requests.remove(at: index).trace?.end() }
            session?.deliver(event)
            // Restarts from the front: the session may have sent or cancelled requests during `deliver`.
            index = 0
        }
    }

    private func next(at index: Int) -> UpstreamEvent? {
        let key = requests[index].key
        switch requests[index].kind {
        case .text(let text, let start, let isStreamed):
            guard isStreamed else {
                session?.consumed(text.count)
                return UpstreamEvent(key, .text(text, final: true), isLast: true)
            }
            let end = Words.end(after: start, in: text)
            requests[index].kind = .text(text, next: end, isStreamed: true)
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
        if recording.echoesAudio, !recording.hasEchoEnded {
            if !recording.chunks.isEmpty, !recording.hasEchoBegun {
                recording.hasEchoBegun = true
                return UpstreamEvent(key, .audio(recording.format))
            }
            if let chunk = recording.chunks.popFirst() { return UpstreamEvent(key, .audioChunk(chunk)) }
            if recording.hasEnded {
                recording.hasEchoEnded = true
                if recording.hasEchoBegun { return UpstreamEvent(key, .audioEnd(recording.format)) }
            }
        }
        guard recording.hasEnded else { return nil }
        let summary = recording.meter.summary()
        return UpstreamEvent(
            key, .transcript(summary, final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil), isLast: true)
    }
}

/// The provider that gives every session a ``LoopbackLink``.
package struct LoopbackProvider: UpstreamProvider {
    private final class LinkFactory: UpstreamLinkFactory {
        func makeLink(for session: any UpstreamEventSink & ConversationSource, id: ULID) -> any UpstreamLink {
            LoopbackLink(session: session)
        }
        func tick(now: Instant) {}
        func reload() {}
        func shutDown() {}
    }

    package init() {}

    package func makeLinkFactory(on eventLoop: any EventLoop, now: @escaping () -> Instant) -> any UpstreamLinkFactory { LinkFactory() }
    package var state: UpstreamState { .ready }
    package var paths: Set<String> { [] }
    package var statistics: [UpstreamStatistics] { [] }
}
