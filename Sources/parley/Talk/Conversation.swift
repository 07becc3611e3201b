// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import GatewayServer
import ParleyClient

/// A conversation with the gateway, across reconnects. One loop waits for messages, lines of input and timers.
final class Conversation {

    /// A recording that is being sent.
    struct Recording {
        let id: String
        let file: RecordingFile
        var upload: AudioUpload
        /// Whether the gateway has acknowledged the opening of the stream.
        var isOpened = false
    }

    var client: ClientWebSocket
    let inserter: EventInserter
    let plan: TalkPlan
    let terminal: TalkTerminal
    let isInteractive: Bool
    private let begun = ContinuousClock.now
    private var steps: ArraySlice<TalkPlan.Step>
    private var input: StandardInput?
    private var isLineRequested = false
    /// Lines of input that wait for an open session.
    private var lines: [String] = []
    private var hasInputEnded = false

    var acknowledgements = AcknowledgementSchedule()
    /// Open requests, oldest first.
    var exchanges: [Exchange] = []
    var recording: Recording?
    var playback = Playback()
    var hasReceivedAudio = false
    /// Requests without an `ack`, by id; they are sent again after a lost connection.
    var unacknowledged: [String: ClientRequest] = [:]
    /// Final transcripts that aren't printed yet, by request id.
    var transcripts: [String: [String]] = [:]
    var resumption = Resumption()
    var pings: [String: Instant] = [:]
    /// Ids of requests whose last text was final; further text begins a new line.
    var finishedTexts: Set<String> = []
    var limits: [String: Double] = [:]
    var isOpen = false
    var isEnding = false
    var hasFailed = false
    /// Whether a fatal error of the connection or session was received.
    var hasFatalError = false
    var hasFileFailed = false
    private var wasInterrupted = false
    /// Whether the reader of standard output has closed the pipe.
    private(set) var isOutputClosed = false
    /// The time at which the current event was received.
    var receivedAt = Instant(nanoseconds: 0)
    var responseDeadline = Instant.distantFuture
    /// The time of the last whole message, or the start of the wait.
    var lastMessageAt = Instant(nanoseconds: 0)
    private var counter = 0

    init(client: ClientWebSocket, inserter: EventInserter, plan: TalkPlan, terminal: TalkTerminal) {
        self.client = client
        self.inserter = inserter
        self.plan = plan
        self.terminal = terminal
        steps = plan.steps[...]
        isInteractive = plan.steps.isEmpty
    }

    var now: Instant { Instant(nanoseconds: (ContinuousClock.now - begun).clampedNanoseconds) }

    /// Runs the conversation until the connection closes for good or a timeout expires.
    func run() async -> TalkStatus {
        if isInteractive {
            if let screen = terminal.screen { _ = Keyboard(screen: screen, into: inserter) } else { input = StandardInput(into: inserter) }
        }
        restartTimeout()
        while !Task.isCancelled {
            await performDueActions()
            await checkOutput()
            let due = [acknowledgements.deadline, await sendRecording(), activeDeadline, resumption.due].compactMap { $0 }.min()
            let event = await client.next(within: due.map { Duration(max(.zero, $0 - now)) })
            if let event {
                if let status = await handle(event) { return status }
            } else if let due = resumption.due, due <= now {
                if let status = reconnect() { return status }
            } else if let activeDeadline, activeDeadline <= now, !extendTimeout() {
                if let status = handleTimeout() { return status }
            }
        }
        return .interrupted
    }

    // MARK: Sending

    /// Sends what is due: an acknowledgement, the next step, or the next line.
    private func performDueActions() async {
        if let sequence = acknowledgements.dueSequence(now: now) { await send(.acknowledge(sequence)) }
        guard isOpen, !isEnding else { return }
        while isOpen, !isEnding, !lines.isEmpty { await handleLine(lines.removeFirst()) }
        if hasInputEnded, lines.isEmpty { return await sendBye() }
        if isInteractive {
            // Each line of a pipe or file waits for the response to the previous line, so that responses are in order. Lines of a terminal
            // are sent at once.
            guard let input, !isLineRequested, StandardInput.isTerminal || exchanges.isEmpty else { return }
            isLineRequested = true
            input.requestLine()
        } else if exchanges.isEmpty {
            switch steps.popFirst() {
            case .text(let text): await sendText(text)
            case .audio(let file): await startUpload(file)
            case nil: await sendBye()
            }
        }
    }

    func sendText(_ text: String) async {
        let id = nextID("t")
        let request = ClientRequest.text(id: id, text: text, lang: plan.lang, streams: plan.streams, speaks: plan.speaks)
        await send(request) {
            unacknowledged[id] = request
            exchanges.append(Exchange(id: id, kind: .text, sentAt: now))
            restartTimeout()
        }
    }

    /// Sends `bye` and waits for the close frame.
    func sendBye() async {
        guard !isEnding else { return }
        isEnding = true
        terminal.screen?.hide()
        restartTimeout()
        await send(.bye)
    }

    func nextID(_ prefix: String) -> String {
        counter += 1
        return "\(prefix)\(counter)"
    }

    /// Sends a message.
    ///
    /// - Parameter recordSend: called just before the message is sent
    func send(_ request: ClientRequest, recordSend: () -> Void = {}) async {
        let json = request.json
        recordSend()
        // If sending fails, the next event reports why the connection closed.
        try? await client.send(text: json)
    }

    // MARK: Events

    private func handle(_ event: ClientEvent) async -> TalkStatus? {
        // Read before the message is decoded and printed, so that latencies don't include that time.
        receivedAt = now
        switch event {
        case .text(let json):
            lastMessageAt = receivedAt
            terminal.raw(json)
            do {
                await handle(try ServerMessage(json: json))
            } catch {
                hasFailed = true
                terminal.error("malformed message: \(ClientText.safe(String(json.prefix(200))))")
            }
        case .binary(let bytes):
            lastMessageAt = receivedAt
            terminal.raw("{\"binary\":\(bytes.count)}")
            if acknowledgements.receivedBinary(now: receivedAt) { receiveAudio(bytes) }
        case .inserted(let event): return await handle(event)
        case .ping, .pong: break
        case .closed(let closing):
            return isResumable(closing) ? connectionLost(closing) : end(closing)
        }
        return nil
    }

    private func handle(_ event: ClientEvent.Inserted) async -> TalkStatus? {
        switch event {
        case .line(let line):
            isLineRequested = false
            lines.append(line)
        case .endOfInput:
            isLineRequested = false
            hasInputEnded = true
        case .interrupt:
            wasInterrupted = !isInteractive
            plan.player?.stop()
            if resumption.isPending { return end(resumption.closing) }
            await sendBye()
        case .outputClosed: isOutputClosed = true
        case .attemptEnded: return attemptEnded()
        }
        // Without a connection, `bye` can't be sent.
        if hasInputEnded, lines.isEmpty, resumption.isPending, exchanges.isEmpty { return end(ClientClosing(code: 1000)) }
        return nil
    }

    /// Ends the conversation if standard output can't be written; without an error message if its reader has closed the pipe.
    private func checkOutput() async {
        if let number = terminal.outputFailure, !isOutputClosed, !hasFileFailed {
            if number == EPIPE {
                isOutputClosed = true
            } else {
                hasFileFailed = true
                terminal.error("standard output: \(Descriptor.text(number))")
                await sendBye()
            }
        }
        if isOutputClosed { await sendBye() }
    }

    /// Completes audio output, prints why the connection closed, and returns the exit status.
    func end(_ closing: ClientClosing) -> TalkStatus {
        finishPlayback()
        finishAudio()
        let isAwaiting = !exchanges.isEmpty && !isEnding
        let status = TalkStatus(
            closing: closing, hasFailed: hasFailed || hasFatalError, isAwaiting: isAwaiting || !isEnding && !isInteractive)
        if wasInterrupted { return .interrupted }
        if closing.code != 1000 || status == .lost { terminal.error(ClientText.safe("\(closing)")) }
        return status == .completed && hasFileFailed ? .usage : status
    }
}
