import Foundation
import GatewayCore
import GatewayServer

/// A talk from the gateway's `session` to its end. One loop waits for messages, lines of input and due times alike.
final class Conversation {
    /// Inserted for Ctrl-C; what a terminal would send for it.
    static let interrupt = "\u{3}"
    /// Inserted behind the last line of standard input; what a terminal would send for it.
    static let endOfInput = "\u{4}"
    /// For the gateway's answer to `bye`.
    private static let farewell = Duration.seconds(5)

    /// A recording on its way.
    struct Recording {
        let id: String
        let file: RecordingFile
        var upload: AudioUpload
    }

    let client: GatewayClient
    let plan: TalkPlan
    let terminal: TalkTerminal
    let isInteractive: Bool
    private let begun = ContinuousClock.now
    private var steps: ArraySlice<TalkPlan.Step>
    private var input: StandardInput?
    private var isLineRequested = false

    var acknowledgements = AcknowledgementSchedule()
    /// Unanswered requests, the oldest first.
    var exchanges: [Exchange] = []
    var recording: Recording?
    var playback = Playback()
    var pings: [String: Instant] = [:]
    /// Ids of pieces after which the answer goes on in a new line.
    var finalPieces: Set<String> = []
    var limits: [String: Double] = [:]
    var isOpen = false
    var isLeaving = false
    var hasFailed = false
    var hasFileFailed = false
    private var wasInterrupted = false
    /// When the event came that is being handled.
    var arrival = Instant(nanoseconds: 0)
    private var patienceEnds = Instant.distantFuture
    private var counter = 0

    init(client: GatewayClient, plan: TalkPlan, terminal: TalkTerminal) {
        self.client = client
        self.plan = plan
        self.terminal = terminal
        steps = plan.steps[...]
        isInteractive = plan.steps.isEmpty
    }

    var now: Instant { Instant(nanoseconds: (ContinuousClock.now - begun).clampedNanoseconds) }

    /// Talks until the end of the connection, or until patience runs out.
    func run() async -> TalkStatus {
        if isInteractive { input = StandardInput(into: client, end: Self.endOfInput) }
        renewPatience()
        while !Task.isCancelled {
            await proceed()
            let due = [acknowledgements.deadline, await sendRecording(), patience].compactMap { $0 }.min()
            let event = await client.next(within: due.map { .nanoseconds(max(0, $0.nanoseconds(since: now))) })
            if let event {
                if let status = await handle(event) { return status }
            } else if let patience, patience <= now {
                if let status = loseHeart() { return status }
            }
        }
        return .interrupted
    }

    // MARK: Patience

    private var isAwaiting: Bool { !isOpen || isLeaving || !exchanges.isEmpty }

    private var patience: Instant? { isAwaiting ? patienceEnds : nil }

    /// Something was sent, or came: the wait begins anew, later by `delay` when we were told to wait.
    func renewPatience(after delay: Duration = .zero) {
        patienceEnds = now.advanced(by: isLeaving ? min(plan.timeout, Self.farewell) : plan.timeout).advanced(by: delay)
    }

    private func loseHeart() -> TalkStatus? {
        let what = exchanges.map(\.id).joined(separator: ", ")
        let time = ConfigurationNotation.text(plan.timeout)
        if isOpen, !isLeaving, isInteractive, StandardInput.isTerminal {
            terminal.error("no answer to \(what) in \(time)")
            exchanges = []
            recording = nil
            return nil
        }
        terminal.error(
            isLeaving ? "no answer to bye" : isOpen ? "no answer to \(what) in \(time)" : "no session in \(time)")
        client.close()
        return isLeaving && hasFailed ? .failed : .timedOut
    }

    // MARK: Going on

    /// Does what is due: acknowledgements, the next step, the next line.
    private func proceed() async {
        if let sequence = acknowledgements.take(now: now) { await send(.acknowledge(sequence)) }
        guard isOpen, !isLeaving else { return }
        if isInteractive {
            // Lines of a file wait for their turn, so that answers come in order; people don't wait.
            guard !isLineRequested, StandardInput.isTerminal || exchanges.isEmpty else { return }
            isLineRequested = true
            input?.requestLine()
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
        await send(.text(id: id, text: text, lang: plan.lang, streams: plan.streams)) {
            exchanges.append(Exchange(id: id, kind: .text, sentAt: now))
            renewPatience()
        }
    }

    func leave() async {
        guard !isLeaving else { return }
        isLeaving = true
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
            terminal.raw(json)
            do {
                await handle(try ServerMessage(json: json))
            } catch {
                hasFailed = true
                terminal.error("a message that can't be understood: \(ClientText.safe(String(json.prefix(200))))")
            }
        case .binary(let bytes):
            terminal.raw("{\"binary\":\(bytes.count)}")
            acknowledgements.receivedBinary(now: arrival)
            hear(bytes)
        case .inserted(Self.interrupt):
            wasInterrupted = !isInteractive
            await leave()
        case .inserted(let line):
            isLineRequested = false
            await obey(line)
        case .ping, .pong: break
        case .closed(let closing):
            return end(closing)
        }
        return nil
    }

    private func end(_ closing: ClientClosing) -> TalkStatus {
        finishPlayback()
        let isAwaiting = !exchanges.isEmpty && !isLeaving
        let status = TalkStatus(closing: closing, hasFailed: hasFailed, isAwaiting: isAwaiting || !isLeaving && !isInteractive)
        if wasInterrupted { return .interrupted }
        if closing.code != 1000 || status == .lost { terminal.error(ClientText.safe("\(closing)")) }
        return status == .answered && hasFileFailed ? .usage : status
    }
}
