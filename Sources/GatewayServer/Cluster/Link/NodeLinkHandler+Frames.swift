// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

/// The handshake: greeting, proof of the dialer, proof of the listener.
extension NodeLinkHandler {
    func receiveHandshake(_ frame: NodeFrame) {
        switch (phase, frame.kind) {
        case (.hello, .hello): receiveHello(frame.payload)
        case (.proof, .proof): receiveProof(frame.payload)
        default: fail(.unexpectedFrame)
        }
    }

    private func receiveHello(_ payload: [UInt8]) {
        guard let peer = NodeHello(payload) else { return fail(.invalidHello) }
        guard peer.node != settings.node else { return fail(.sameNode) }
        guard expected == nil || expected == peer.node else { return fail(.anotherNode) }
        peerHello = peer
        phase = .proof
        if isDialer { sendProof() } else { write(.hello, payload: hello.payload) }
    }

    private func receiveProof(_ proof: [UInt8]) {
        guard let transcript = transcript(byDialer: !isDialer), settings.security.isValid(proof: proof, of: transcript) else {
            return fail(.wrongSecret)
        }
        // The listener proves itself only to a node that has the secret.
        if !isDialer { sendProof() }
        if phase == .proof { establish() }
    }

    private func sendProof() {
        guard let transcript = transcript(byDialer: isDialer), let proof = settings.security.proof(transcript) else {
            return close(because: "out of memory", error: .lost)
        }
        write(.proof, payload: proof)
    }

    private func transcript(byDialer: Bool) -> [UInt8]? {
        guard let peerHello else { return nil }
        return NodeHello.transcript(
            byDialer: byDialer, dialer: isDialer ? hello : peerHello, listener: isDialer ? peerHello : hello)
    }
}

/// The frames of an established link.
extension NodeLinkHandler {
    func receive(_ frame: NodeFrame) {
        switch frame.kind {
        case .ping: write(.pong)
        case .pong: break
        case .open: receiveOpen(frame)
        case .data:
            guard let stream = stream(of: frame) else { return }
            if !stream.receive(frame.payload) { fail(.windowExceeded) }
        case .credit:
            guard let stream = stream(of: frame) else { return }
            guard let credit = NodeFrame.credit(frame.payload), stream.add(credit: credit) else { return fail(.windowExceeded) }
            flush(stream)
        case .close:
            guard let stream = stream(of: frame) else { return }
            streams[frame.stream] = nil
            stream.end(frame.payload.first.flatMap(StreamEnding.init) ?? .fault)
            closeIfDone()
        case .request: receiveRequest(frame)
        case .response, .refusal: receiveResponse(frame)
        case .goAway:
            isPeerRetiring = true
            if let link { owner.linkRetired(link) }
            retire()
        case .hello, .proof: fail(.unexpectedFrame)
        }
    }

    // MARK: Streams

    private func receiveOpen(_ frame: NodeFrame) {
        // The peer's numbers have the other parity, and rise.
        guard let link, frame.stream % 2 != nextStream % 2, frame.stream > lastPeerStream else { return fail(.unexpectedFrame) }
        lastPeerStream = frame.stream
        guard streams.count < settings.streams, !isPeerRetiring else {
            write(.close, stream: frame.stream, payload: [StreamEnding.refused.rawValue])
            return
        }
        let stream = NodeStream(peer: link.peer, number: frame.stream, window: settings.window, link: link.handler)
        streams[frame.stream] = stream
        owner.opened(stream, label: frame.payload)
    }

    /// Returns the stream of a frame; nil for one that was closed. A number that no stream had is a fault.
    private func stream(of frame: NodeFrame) -> NodeStream? {
        if let stream = streams[frame.stream] { return stream }
        let isOwn = frame.stream % 2 == nextStream % 2
        let wasOpen = isOwn ? frame.stream < nextStream : frame.stream <= lastPeerStream
        // 0 is the number of the link itself.
        if !wasOpen || frame.stream == 0 { fail(.unexpectedFrame) }
        return nil
    }

    func open(label: [UInt8]) throws(NodeLinkError) -> NodeStream {
        guard phase == .established, let link else { throw .lost }
        guard !isRetiring else { throw .retired }
        guard streams.count < settings.streams else { throw .busy }
        guard label.count <= NodeFrame.maximumPayload else { throw .tooLarge }
        let stream = NodeStream(peer: link.peer, number: nextStream, window: settings.window, link: link.handler)
        streams[nextStream] = stream
        write(.open, stream: nextStream, payload: label)
        nextStream += 2
        flushIfNeeded()
        return stream
    }

    /// Sends what a stream's window permits, as long as the socket accepts it.
    func flush(_ stream: NodeStream) {
        guard phase == .established, streams[stream.number] === stream, let context else { return }
        guard context.channel.isWritable else {
            blocked[stream.number] = stream
            return
        }
        let (messages, closing) = stream.takeOutgoing()
        for message in messages { write(.data, stream: stream.number, payload: message) }
        if let closing {
            streams[stream.number] = nil
            write(.close, stream: stream.number, payload: [closing.rawValue])
            // The owner hasn't closed the stream, and has to learn that it is closed.
            if closing == .overflow { stream.end(.overflow) }
            closeIfDone()
        }
        flushIfNeeded()
    }

    /// Allows the peer to send more.
    func grant(_ stream: NodeStream) {
        guard phase == .established, streams[stream.number] === stream else { return }
        let consumed = stream.takeConsumed()
        guard consumed > 0 else { return }
        write(.credit, stream: stream.number, payload: NodeFrame.credit(consumed))
        flushIfNeeded()
    }

    // MARK: Requests

    func request(_ message: [UInt8], kind: UInt8, timeout: TimeAmount, promise: EventLoopPromise<[UInt8]>) {
        guard phase == .established, let context else { return promise.fail(NodeLinkError.lost) }
        guard !isRetiring else { return promise.fail(NodeLinkError.retired) }
        guard message.count < NodeFrame.maximumPayload else { return promise.fail(NodeLinkError.tooLarge) }
        guard requests.count < settings.requests, requestBytes <= NodeStream.hardLimit else { return promise.fail(NodeLinkError.busy) }
        nextRequest += 1
        let number = nextRequest
        let scheduled = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { [weak self] () -> Void in
            self?.endRequest(number)?.promise.fail(NodeLinkError.timeout)
            self?.closeIfDone()
        }
        requests[number] = PendingRequest(promise: promise, timeout: scheduled, bytes: message.count)
        requestBytes += message.count
        write(.request, stream: number, payload: [kind] + message)
        flushIfNeeded()
    }

    private func endRequest(_ number: UInt64) -> PendingRequest? {
        guard let request = requests.removeValue(forKey: number) else { return nil }
        requestBytes -= request.bytes
        request.timeout.cancel()
        return request
    }

    private func receiveResponse(_ frame: NodeFrame) {
        guard frame.stream > 0, frame.stream <= nextRequest else { return fail(.unexpectedFrame) }
        // A request that has timed out is no longer known.
        guard let request = endRequest(frame.stream) else { return }
        if frame.kind == .response { request.promise.succeed(frame.payload) } else { request.promise.fail(NodeLinkError.busy) }
        closeIfDone()
    }

    private func receiveRequest(_ frame: NodeFrame) {
        guard let kind = frame.payload.first, let link else { return fail(.unexpectedFrame) }
        guard handledRequests < settings.requests else { return write(.refusal, stream: frame.stream, payload: [0]) }
        handledRequests += 1
        let (owner, peer, handler) = (owner, link.peer, link.handler)
        let (number, message) = (frame.stream, Array(frame.payload.dropFirst()))
        Task {
            let response = await owner.handle(kind, message, from: peer)
            handler.eventLoop.execute { handler.value.respond(response, to: number) }
        }
    }

    private func respond(_ response: [UInt8], to number: UInt64) {
        handledRequests -= 1
        guard phase == .established else { return }
        if response.count <= NodeFrame.maximumPayload {
            write(.response, stream: number, payload: response)
        } else {
            write(.refusal, stream: number, payload: [1])
        }
        closeIfDone()
        flushIfNeeded()
    }

    // MARK: Retiring

    /// Announces that this side sends no more requests and opens no more streams. The link closes when neither side has any.
    func retire() {
        guard phase == .established else { return }
        if !isRetiring {
            isRetiring = true
            write(.goAway)
        }
        closeIfDone()
        flushIfNeeded()
    }

    private func closeIfDone() {
        guard isRetiring, isPeerRetiring, streams.isEmpty, requests.isEmpty, handledRequests == 0, phase == .established else { return }
        // The last frames have to leave before the connection closes.
        guard let context, !isClosing else { return }
        isClosing = true
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { [weak self] _ in
            self?.close(because: "replaced", error: .retired)
        }
    }
}

extension NodeFrame {
    /// The payload of a `credit` frame.
    static func credit(_ bytes: Int) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: UInt64(clamping: bytes) >> (8 * UInt64($0))) }
    }

    /// Parses the payload of a `credit` frame; nil if it is invalid.
    static func credit(_ payload: [UInt8]) -> Int? {
        guard payload.count == 8 else { return nil }
        return Int(exactly: payload.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
}
