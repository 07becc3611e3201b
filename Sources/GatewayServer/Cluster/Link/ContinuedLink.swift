// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import NIOCore

/// The link of a session that was handed over with requests in flight: their calls stay on the node where they began, and new requests
/// start on this one.
///
/// Both parts deliver directly to the session. They share its demand: the remote part's events come first, and what it doesn't need is
/// lent to the local part.
package final class ContinuedLink: UpstreamLink {
    private let remote: RemoteLink
    private let local: any UpstreamLink

    /// - Parameters:
    ///   - remote: without demand
    ///   - local: a new link of the session on its event loop
    package init(remote: RemoteLink, local: any UpstreamLink) {
        self.remote = remote
        self.local = local
        remote.onQueued = { [weak self] in self?.share(0) }
    }

    /// Also false with a loopback link: the session's upstream may be slow.
    package var isSynchronous: Bool { false }
    package var heldBytes: Int { remote.heldBytes + local.heldBytes }

    package func send(_ command: UpstreamCommand, audio: [UInt8]) {
        switch command {
        case .start: local.send(command, audio: audio)
        case .audio(let key, _), .audioEnd(let key), .cancel(let key, _):
            if remote.contains(key) { remote.send(command, audio: audio) } else { local.send(command, audio: audio) }
        case .clientState:
            remote.send(command, audio: audio)
            local.send(command, audio: audio)
        }
    }

    package func demand(_ events: Int) { share(events) }

    /// Distributes the demand that isn't met yet, and `events` more.
    private func share(_ events: Int) {
        let total = events + local.withdraw() + remote.withdraw()
        remote.demand(total)
        let rest = remote.withdraw()
        if rest > 0 { local.demand(rest) }
    }

    package func withdraw() -> Int { remote.withdraw() + local.withdraw() }

    package func detach() {
        remote.detach()
        local.detach()
    }

    package func move(to session: any UpstreamEventSink & ConversationSource, on eventLoop: any EventLoop) {
        remote.move(to: session, on: eventLoop)
        local.move(to: session, on: eventLoop)
    }

    package func close() {
        remote.close()
        local.close()
    }
}
