// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// Messages in both directions, and events for the application.
extension SessionMachine {
    mutating func received(_ number: Int, text json: String, now: Instant) -> [Effect] {
        guard isCurrent(number) else { return takeEffects() }
        count(received: json.utf8.count)
        do {
            handle(try ServerMessage(json: json), now: now)
        } catch {
            // Without the message itself, which may contain a token.
            violated("malformed message", now: now)
        }
        return flush(now: now)
    }

    mutating func received(_ number: Int, binary bytes: [UInt8], now: Instant) -> [Effect] {
        guard isCurrent(number) else { return takeEffects() }
        count(received: bytes.count)
        if !isOpen {
            violated("the first message isn't a session", now: now)
        } else if !sequence.receivedBinary(now: now) {
            duplicates += 1
        } else if let receivedAudio, receivedAudio.id.map(requests.contains) ?? true {
            emit(.audio(id: receivedAudio.id, receivedAudio.format, bytes))
        }
        return flush(now: now)
    }

    private func isCurrent(_ number: Int) -> Bool { number == connection && hasConnection }

    private mutating func count(received bytes: Int) {
        received.messages += 1
        received.bytes &+= bytes
    }

    private mutating func handle(_ message: ServerMessage, now: Instant) {
        guard isOpen else {
            switch message.type {
            case "session": open(message, now: now)
            case "error": fatalError = message.error
            default: violated("the first message isn't a session", now: now)
            }
            return
        }
        if let number = message.sequence, !sequence.received(number, now: now) {
            duplicates += 1
            return
        }
        // A retried push can arrive in two sessions.
        if let push = message.push, !isNew(push) {
            duplicates += 1
            return
        }
        emit(.message(json: message.json))
        switch message.type {
        case "ack": requests.acknowledged(message, now: now)
        case "pong":
            if health.pong(message.id, now: now) {
                // The ping was sent after the first `ack`, which confirms the token.
                previousToken = nil
                advise(health.isSlow ? .slow : nil)
            }
        case "goaway": goAway(message, now: now)
        case "error": handleError(message, now: now)
        case "auth", "session": break
        default: handleResponse(message)
        }
        if message.isDone == true { requests.finish(message) }
        collectChanges()
    }

    private mutating func isNew(_ push: ServerMessage.Push) -> Bool {
        guard !pushIDs.contains(push.id) else { return false }
        if pushIDs.count >= Self.maximumPushIDs { pushIDs.removeFirst() }
        pushIDs.append(push.id)
        return true
    }

    private mutating func goAway(_ message: ServerMessage, now: Instant) {
        let deadline = Duration.milliseconds(min(max(0, message.deadlineMilliseconds ?? 0), 86_400_000))
        emit(.goAway(reason: message.reason ?? "", deadline: deadline))
        switch message.reason {
        case "token_expiring":
            if settings.canRefresh { effects.append(.fetchToken) }
        case "session_expires": break
        default: leaveAt = now.advanced(by: deadline * Self.goAwayShare * settings.random())
        }
    }

    private mutating func handleError(_ message: ServerMessage, now: Instant) {
        guard let error = message.error else { return }
        if error.fatal == true { fatalError = error }
        // The error ends an accepted request.
        if message.isDone == true { return }
        if health.answered(error.replyTo) { return }
        if error.fatal != true, requests.rejected(error, now: now) { return }
        emit(.error(ParleyError(error)))
    }

    private mutating func handleResponse(_ message: ServerMessage) {
        let id = message.replyTo
        let isWanted = id.map(requests.contains) ?? true
        if let id, isWanted {
            requests.confirm(id)
            collectChanges()
        }
        if message.type == "audio" { handleAudio(message) }
        if let push = message.push { emit(.push(id: push.id, text: message.text, json: message.json)) }
        // Otherwise the request was cancelled, or has failed here.
        guard isWanted else { return }
        switch message.type {
        case "text": if let id { emit(.delta(id: id, text: message.text ?? "", isFinal: message.isFinal == true)) }
        case "transcript": if let id { emit(.transcript(id: id, text: message.text ?? "", isFinal: message.isFinal == true)) }
        case "status": if let state = message.state { emit(.progress(id: id, state)) }
        default: break
        }
    }

    private mutating func handleAudio(_ message: ServerMessage) {
        guard message.isFinal != true, let format = message.format, let codec = ParleyClient.AudioFormat.Codec(rawValue: format.codec)
        else { return receivedAudio = nil }
        receivedAudio = (message.replyTo, ParleyClient.AudioFormat(codec: codec, rate: format.rate, channels: format.channels))
    }

    // MARK: Effects

    mutating func send(_ request: ClientRequest) {
        let json = request.json
        sent.messages += 1
        sent.bytes &+= json.utf8.count
        effects.append(.sendText(json))
    }

    mutating func send(binary bytes: [UInt8]) {
        sent.messages += 1
        sent.bytes &+= bytes.count
        effects.append(.sendBinary(bytes))
    }

    mutating func emit(_ event: ParleyClient.Event) { effects.append(.emit(event)) }

    /// Emits a text for people, unless it is the current one. Nil withdraws the current one.
    mutating func advise(_ key: Advice?, seconds: Int? = nil) {
        let text = key?.text(translations: settings.translations, seconds: seconds)
        guard text != advice else { return }
        advice = text
        emit(.advice(text))
    }

    mutating func collectChanges() {
        for change in requests.takeChanges() {
            switch change {
            case .accepted(let id): emit(.accepted(id: id))
            case .ended(let id, let error): emit(.ended(id: id, error))
            }
        }
    }

    mutating func takeEffects() -> [Effect] {
        collectChanges()
        defer { effects = [] }
        return effects
    }
}
