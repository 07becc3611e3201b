// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import GatewayServer
import NIOHTTP1
import ParleyClient

/// Reconnects after a lost connection, and resumes the session (protocol page, section "Resuming").
extension Conversation {
    func isResumable(_ closing: ClientClosing) -> Bool {
        closing.permitsResume && resumption.token != nil && plan.reconnect > .zero && !isEnding && !isOutputClosed
    }

    /// Starts reconnecting. Lines of input wait until a session is open again.
    func connectionLost(_ closing: ClientClosing) -> TalkStatus? {
        client.reopenInbox()
        isOpen = false
        hasFatalError = false
        pings = [:]
        resumption.lost(closing, now: now, timeout: plan.reconnect)
        guard let deadline = resumption.deadline, now < deadline else { return giveUp(nil) }
        terminal.notice(ClientText.safe("\(closing); resuming"))
        return nil
    }

    func reconnect() -> TalkStatus? {
        guard let token = resumption.token else { return giveUp(nil) }
        var url = plan.url
        url.target += (url.target.contains("?") ? "&" : "?") + "last_seq=\(acknowledgements.received)"
        var options = plan.options
        options.headers.replaceOrAdd(name: "Parley-Resume", value: token)
        let attempt = Resumption.Attempt()
        resumption.attemptStarted(attempt)
        let inserter = inserter
        Task { [url, options] in
            do throws(ClientWebSocketError) {
                attempt.result = .success(try await ClientWebSocket.connect(to: url, options: options))
            } catch {
                attempt.result = .failure(error)
            }
            inserter.insert(.attemptEnded)
        }
        return nil
    }

    func attemptEnded() -> TalkStatus? {
        switch resumption.attempt?.result {
        case .success(let next)?:
            inserter.move(to: next)
            client = next
            resumption.connected()
            restartTimeout()
            return nil
        case .failure(let error)?:
            guard let wait = error.retryDelay, resumption.failed(retryAfter: wait, now: now) else { return giveUp(error) }
            return nil
        case nil: return nil
        }
    }

    private func giveUp(_ error: ClientWebSocketError?) -> TalkStatus {
        if let error { terminal.error(ClientText.safe("the session couldn't be resumed: \(error)")) }
        return end(resumption.closing)
    }

    /// Handles the first message on a new connection: open requests continue, or are reported as lost.
    func continueRequests(_ message: ServerMessage) async {
        restartTimeout()
        if message.isResumed == true {
            terminal.notice(message.isLost == true ? "resumed; messages of the gateway were lost" : "resumed")
            continueRecording(message.openAudio)
        } else {
            let reason = message.resumeError.map { ": \(ClientText.safe($0))" } ?? ""
            terminal.notice("session not resumed\(reason); a new session was opened")
            dropExchanges()
        }
        for index in exchanges.indices {
            guard let request = unacknowledged[exchanges[index].id] else { continue }
            exchanges[index].resent()
            await send(request)
        }
        await reopenRecording()
    }

    /// Drops acknowledged requests: they belong to the previous session, so no response will arrive.
    private func dropExchanges() {
        let lost = exchanges.filter { unacknowledged[$0.id] == nil && !isUnopened($0.id) }
        guard !lost.isEmpty else { return }
        hasFailed = true
        terminal.error("\(lost.map(\.id).joined(separator: ", ")): lost with the previous session; send the request again")
        exchanges.removeAll { exchange in lost.contains { $0.id == exchange.id } }
        if let id = recording?.id, !exchanges.contains(where: { $0.id == id }) { recording = nil }
    }

    private func isUnopened(_ id: String) -> Bool { recording?.id == id && recording?.isOpened == false }

    private func continueRecording(_ open: ServerMessage.OpenAudio?) {
        guard var current = recording else { return }
        if let open, open.id == current.id {
            current.isOpened = current.upload.resumed(chunks: open.chunks, now: now)
        } else if !current.upload.hasEnded {
            current.isOpened = false
        }
        recording = current
    }

    /// Sends the recording from its beginning if the gateway has no audio stream for it.
    private func reopenRecording() async {
        guard var current = recording, !current.isOpened else { return }
        current.upload.reopened()
        recording = current
        await send(opening(of: current.file, id: current.id))
    }
}

extension ClientWebSocketError {
    /// The minimum delay before the next attempt to connect; nil if another attempt would fail as well.
    fileprivate var retryDelay: Duration? {
        switch self {
        case .cannotConnect, .lost, .timedOut, .closed, .tls: return .zero
        case .handshake: return nil
        case .rejected(let rejection):
            guard rejection.status >= 500 || rejection.status == 429 || rejection.status == 408 else { return nil }
            return rejection.retryAfter
        }
    }
}
