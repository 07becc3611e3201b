// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import GatewayServer
import ParleyClient

/// Handling of the gateway's messages.
extension Conversation {
    func handle(_ message: ServerMessage) async {
        if message.type != "session" { resumption.connectionConfirmed() }
        if let sequence = message.sequence, !acknowledgements.received(sequence, now: receivedAt) { return }
        switch message.type {
        case "session": await open(message)
        case "goaway":
            let remaining = ClientText.seconds(milliseconds: message.deadlineMilliseconds ?? 0)
            let reason = ClientText.safe(message.reason ?? "no reason given")
            terminal.notice("the gateway will close this connection in \(remaining): \(reason)")
        case "pong":
            guard let sent = message.id.flatMap({ pings.removeValue(forKey: $0) }) else { break }
            terminal.line("pong \(ClientText.milliseconds((receivedAt - sent).nanoseconds))")
        case "status" where message.quota != nil:
            let (used, limit) = (message.used ?? 0, message.limit ?? 0)
            let share = limit > 0 ? Int(min(max(0, used / limit * 100), 100)) : 100
            terminal.notice("\(share) % of the quota \(ClientText.safe(message.quota ?? "")) is used")
        case "error": await fail(message)
        default: handleResponse(message)
        }
    }

    private func open(_ message: ServerMessage) async {
        let isFirst = !resumption.hadSession
        isOpen = true
        limits = message.limits ?? [:]
        resumption.opened(message)
        if message.isResumed == true {
            acknowledgements.resumed()
        } else {
            // The new session has its own sequence numbers.
            acknowledgements = AcknowledgementSchedule()
        }
        acknowledgements.opened(now: receivedAt)
        if isFirst {
            terminal.notice("session \(ClientText.safe(message.sessionID ?? "without an id"))")
            if isInteractive, StandardInput.isTerminal {
                terminal.notice("each line is sent as a text; /help lists the commands, Ctrl-D ends the session")
            }
        } else {
            await continueRequests(message)
        }
        terminal.screen?.show()
    }

    private func fail(_ message: ServerMessage) async {
        guard let error = message.error else { return }
        if error.replyTo != nil, error.replyTo == recording?.id, pause(error) { return }
        // The close code that follows a fatal error determines whether the session can be resumed.
        if error.fatal == true, error.replyTo == nil { hasFatalError = true } else { hasFailed = true }
        terminal.error(ClientText.error(error))
        if error.replyTo != nil, error.replyTo == recording?.id { recording = nil }
        handleResponse(message)
    }

    /// Handles a message that belongs to a request of this conversation.
    private func handleResponse(_ message: ServerMessage) {
        guard let id = message.request, let index = exchanges.firstIndex(where: { $0.id == id }) else {
            if message.type == "status", message.state == nil { report(message) }
            return
        }
        restartTimeout()
        exchanges[index].record(message, now: receivedAt)
        switch message.type {
        case "ack":
            unacknowledged[id] = nil
            if id == recording?.id {
                recording?.isOpened = true
                recording?.upload.acknowledged(message.chunks ?? 0, now: receivedAt)
            }
        case "text":
            showTranscripts(of: id, hasResponse: true)
            show(message, of: id)
        case "transcript":
            if message.isFinal == false {
                terminal.notice("… \(ClientText.safe(message.text ?? ""))")
            } else if terminal.isOutputTerminal {
                terminal.line("transcript: " + ClientText.safe(message.text ?? ""))
            } else {
                transcripts[id, default: []].append(message.text ?? "")
            }
        case "audio": handleAudio(message)
        case "status":
            if let state = message.state { terminal.notice("\(id): \(ClientText.safe(state))") }
        default: break
        }
        if exchanges[index].isComplete { finish(exchanges.remove(at: index)) }
    }

    private func show(_ message: ServerMessage, of id: String) {
        terminal.printDelta(message.text ?? "", of: id, beginsLine: finishedTexts.contains(id))
        if message.isFinal == true { finishedTexts.insert(id) } else { finishedTexts.remove(id) }
    }

    /// Prints final transcripts if standard output isn't a terminal: as notices if a response follows, otherwise as the response.
    private func showTranscripts(of id: String, hasResponse: Bool) {
        for text in transcripts.removeValue(forKey: id) ?? [] {
            if hasResponse {
                terminal.notice("transcript: " + ClientText.safe(text))
            } else {
                terminal.printDelta(text, of: id, beginsLine: true)
            }
        }
    }

    private func finish(_ exchange: Exchange) {
        showTranscripts(of: exchange.id, hasResponse: false)
        unacknowledged[exchange.id] = nil
        finishedTexts.remove(exchange.id)
        if recording?.id == exchange.id { recording = nil }
        terminal.finish(exchange.id, note: exchange.timing)
    }

    /// Prints the report that `/status` requested, one line per value.
    private func report(_ message: ServerMessage) {
        for line in message.report { terminal.line(line) }
    }
}
