// SPDX-License-Identifier: Apache-2.0

package import DequeModule
package import GatewayCore
package import NIOCore

/// The session of a link whose session was handed over to another node: sends the link's events over a stream, and receives the session's
/// commands from it.
///
/// The link's requests stay where they are. The link itself may be of any kind, also one whose calls are on a third node. Confined to one
/// event loop.
package final class LinkProxy: UpstreamEventSink, ConversationSource, NodeStream.Reader {
    /// The demand for events while the stream has room.
    private static let demandSize = 64

    private let link: any UpstreamLink
    private let stream: NodeStream
    /// The demand that the link hasn't met yet, in events.
    private var demanded = 0
    private var hasRoomInStream = true
    private var isClosed = false
    private let ended: () -> Void

    /// Makes the proxy of a link, which the session has detached on this event loop. The stream retains the proxy.
    ///
    /// - Parameters:
    ///   - tariffs: the tariffs of the requests in flight, for the session's new node
    ///   - eventLoop: the event loop on which this is called
    ///   - ended: called once when the calls have ended
    @discardableResult
    package init(
        of link: any UpstreamLink, over stream: NodeStream, tariffs: [(RequestKey, RouteTariff)] = [], on eventLoop: any EventLoop,
        ended: @escaping () -> Void = {}
    ) {
        self.ended = ended
        self.link = link
        self.stream = stream
        for (key, tariff) in tariffs { routed(key, to: tariff) }
        link.move(to: self, on: eventLoop)
        _ = link.withdraw()
        stream.attach(NIOLoopBound(self, eventLoop: eventLoop))
        demand()
    }

    /// Closes the link and its stream: the requests fail on the session's node.
    package func shutDown() { close(.shutDown) }

    private func demand() {
        guard !isClosed, hasRoomInStream, demanded <= Self.demandSize / 2 else { return }
        let missing = Self.demandSize - demanded
        demanded += missing
        link.demand(missing)
    }

    private func send(_ item: UpstreamItem) {
        guard !isClosed, !stream.send(item.record) else { return }
        // The link holds its events back, and pauses its upstreams, until the session's node has read.
        hasRoomInStream = false
        demanded = max(0, demanded - link.withdraw())
    }

    private func close(_ ending: StreamEnding) {
        guard !isClosed else { return }
        isClosed = true
        link.close()
        stream.close(ending)
        ended()
    }

    // MARK: From the link

    package func deliver(_ event: consuming UpstreamEvent) -> Bool {
        let event = event
        demanded = max(0, demanded - 1)
        var item = UpstreamItem.event(event)
        if event.content.byteCount > Self.longestContent {
            link.send(.cancel(event.request, playedMilliseconds: nil), audio: [])
            item = .event(UpstreamEvent(event.request, .tooFast(isRetryable: false), isLast: true))
        }
        send(item)
        // Later, since the link may still be delivering.
        if demanded <= Self.demandSize / 2, hasRoomInStream { demandLater() }
        return true
    }

    package func consumed(_ bytes: Int) { send(.consumed(bytes)) }

    package func routed(_ request: RequestKey, to tariff: RouteTariff) { send(.routed(request, tariff)) }

    package func played(_ bytes: Int, of request: RequestKey) { send(.played(bytes, request)) }

    /// Empty: new requests never start here.
    package func conversation(before request: RequestKey, lines: Int, bytes: Int) -> [ConversationLine] { [] }

    /// Maximum size of an event's content. Events are smaller, since a link's inbox is.
    private static let longestContent = NodeFrame.maximumPayload - 4096

    private var isDemandScheduled = false

    private func demandLater() {
        guard !isDemandScheduled else { return }
        isDemandScheduled = true
        stream.wakeReader()
    }

    // MARK: From the session's node

    package func receive(_ messages: Deque<[UInt8]>) {
        for message in messages {
            guard !isClosed else { return }
            stream.consumed(NodeStream.cost(of: message))
            guard let (command, audio) = try? UpstreamCommand.read(message) else { return close(.fault) }
            // New requests start on the session's node.
            if case .start = command { return close(.fault) }
            link.send(command, audio: audio)
        }
    }

    package func hasRoom() {
        isDemandScheduled = false
        hasRoomInStream = true
        demand()
    }

    package func closed(_ ending: StreamEnding) { close(ending) }
}
