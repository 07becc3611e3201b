import Foundation
import GatewayCore
import GatewayServer

/// A talk from the gateway's `session` to its end. One loop waits for messages, lines of input and due times alike.
final class Conversation {

    /// A recording on its way.
    struct Recording {
        let id: String
        let file: RecordingFile
        var upload: AudioUpload
        /// The gateway has acknowledged its beginning.
        var isOpened = false
    }

    var client: ClientWebSocket
    let port: EventPort
    let plan: TalkPlan
    let terminal: TalkTerminal
    let isInteractive: Bool
    private let begun = ContinuousClock.now
    private var steps: ArraySlice<TalkPlan.Step>
    private var input: StandardInput?
    private var isLineRequested = false
    /// Lines that came while there was no session.
    private var lines: [String] = []
    private var hasInputEnded = false

    var acknowledgements = AcknowledgementSchedule()
    /// Unanswered requests, the oldest first.
    var exchanges: [Exchange] = []
    var recording: Recording?
    var playback = Playback()
    var hasHeard = false
    /// Requests without an `ack`: they are sent once more after a lost connection.
    var unacknowledged: [String: ClientRequest] = [:]
    /// Final transcripts that aren't shown yet, by request.
    var transcripts: [String: [String]] = [:]
    var resumption = Resumption()
    var pings: [String: Instant] = [:]
    /// Ids of pieces after which the answer goes on in a new line.
    var finalPieces: Set<String> = []
    var limits: [String: Double] = [:]
    var isOpen = false
    var isLeaving = false
    var hasFailed = false
    /// An error came that is about the connection or the session, and that ends one of them.
    var hasFatalError = false
    var hasFileFailed = false
    private var wasInterrupted = false
    /// The reader of standard output is gone.
    private(set) var isOutputClosed = false
    /// When the event came that is being handled.
    var arrival = Instant(nanoseconds: 0)
    var patienceEnds = Instant.distantFuture
    /// When the last whole message came, or the wait began.
    var lastSign = Instant(nanoseconds: 0)
    private var counter = 0

    init(client: ClientWebSocket, port: EventPort, plan: TalkPlan, terminal: TalkTerminal) {
        self.client = client
        self.port = port
        self.plan = plan
        self.terminal = terminal
        steps = plan.steps[...]
        isInteractive = plan.steps.isEmpty
    }

    var now: Instant { Instant(nanoseconds: (ContinuousClock.now - begun).clampedNanoseconds) }

    /// Talks until the end of the connection, or until patience runs out.
    func run() async -> TalkStatus {
        if isInteractive {
            if let screen = terminal.screen { _ = Keyboard(screen: screen, into: port) } else { input = StandardInput(into: port) }
        }
        renewPatience()
        while !Task.isCancelled {
            await proceed()
            await noticeOutput()
            let due = [acknowledgements.deadline, await sendRecording(), patience, resumption.due].compactMap { $0 }.min()
            let event = await client.next(within: due.map { Duration(max(.zero, $0 - now)) })
            if let event {
                if let status = await handle(event) { return status }
            } else if let due = resumption.due, due <= now {
                if let status = connectAgain() { return status }
            } else if let patience, patience <= now, !extendPatience() {
                if let status = loseHeart() { return status }
            }
        }
        return .interrupted
    }

    // MARK: Going on

    /// Does what is due: acknowledgements, the next step, the next line.
    private func proceed() async {
        if let sequence = acknowledgements.take(now: now) { await send(.acknowledge(sequence)) }
        guard isOpen, !isLeaving else { return }
        while isOpen, !isLeaving, !lines.isEmpty { await obey(lines.removeFirst()) }
        if hasInputEnded, lines.isEmpty { return await leave() }
        if isInteractive {
            // Lines of a file wait for their turn, so that answers come in order; people don't wait.
            guard let input, !isLineRequested, StandardInput.isTerminal || exchanges.isEmpty else { return }
            isLineRequested = true
            input.requestLine()
        } else if exchanges.isEmpty {
            switch steps.popFirst() {
            case .text(let text): await say(text)
            case .audio(let file): await play(file)
            case nil: await leave()
            }
        }
    }

    func say(_ text: String) async {
        let id = nextID("t")
        let request = ClientRequest.text(id: id, text: text, lang: plan.lang, streams: plan.streams, speaks: plan.speaks)
        await send(request) {
            unacknowledged[id] = request
            exchanges.append(Exchange(id: id, kind: .text, sentAt: now))
            renewPatience()
        }
    }

    func leave() async {
        guard !isLeaving else { return }
        isLeaving = true
        terminal.screen?.hide()
        renewPatience()
        await send(.bye)
    }

    func nextID(_ prefix: String) -> String {
        counter += 1
        return "\(prefix)\(counter)"
    }

    /// - Parameter note: called just before the message leaves.
    func send(_ request: ClientRequest, note: () -> Void = {}) async {
        let json = request.json
        note()
        // When it can't be sent, the end of the connection is the next event, and says why.
        try? await client.send(text: json)
    }

    // MARK: Events

    private func handle(_ event: ClientEvent) async -> TalkStatus? {
        // Before it's decoded and shown, which is no fault of the gateway's.
        arrival = now
        switch event {
        case .text(let json):
            lastSign = arrival
            terminal.raw(json)
            do {
                await handle(try ServerMessage(json: json))
            } catch {
                hasFailed = true
                terminal.error("a message that can't be understood: \(ClientText.safe(String(json.prefix(200))))")
            }
        case .binary(let bytes):
            lastSign = arrival
            terminal.raw("{\"binary\":\(bytes.count)}")
            acknowledgements.receivedBinary(now: arrival)
            hear(bytes)
        case .inserted(let event): return await handle(event)
        case .ping, .pong: break
        case .closed(let closing):
            return isResumable(closing) ? loseConnection(closing) : end(closing)
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
            await leave()
        case .outputClosed: isOutputClosed = true
        case .attemptEnded: return attemptEnded()
        }
        // Without a connection no `bye` can be sent.
        if hasInputEnded, lines.isEmpty, resumption.isPending, exchanges.isEmpty { return end(ClientClosing(code: 1000)) }
        return nil
    }

    /// Ends the conversation when standard output can't be written; silently when its reader is gone.
    private func noticeOutput() async {
        if let number = terminal.outputFailure, !isOutputClosed, !hasFileFailed {
            if number == EPIPE {
                isOutputClosed = true
            } else {
                hasFileFailed = true
                terminal.error("standard output: \(Descriptor.text(number))")
                await leave()
            }
        }
        if isOutputClosed { await leave() }
    }

    func end(_ closing: ClientClosing) -> TalkStatus {
        finishPlayback()
        closeSound()
        let isAwaiting = !exchanges.isEmpty && !isLeaving
        let status = TalkStatus(
            closing: closing, hasFailed: hasFailed || hasFatalError, isAwaiting: isAwaiting || !isLeaving && !isInteractive)
        if wasInterrupted { return .interrupted }
        if closing.code != 1000 || status == .lost { terminal.error(ClientText.safe("\(closing)")) }
        return status == .answered && hasFileFailed ? .usage : status
    }
}
