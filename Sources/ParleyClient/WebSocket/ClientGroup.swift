// SPDX-License-Identifier: Apache-2.0

import GatewayTLS
import GatewayWebSocket
package import NIOCore
import NIOPosix

/// Event loops for clients, and the state that is shared by all connections of a loop.
package final class ClientGroup: Sendable {
    /// The group on NIO's singleton loops, for programs with few clients.
    package static let shared = ClientGroup(MultiThreadedEventLoopGroup.singleton)

    /// State shared by the connections of a loop; accessed only on that loop.
    final class LoopState {
        let tls = TLSBuffers()
        let deflate = SharedDeflate()
    }

    private let group: any EventLoopGroup
    private let boxes: [ObjectIdentifier: NIOLoopBoundBox<LoopState?>]

    /// - Parameter group: owned by the caller, which shuts it down
    package init(_ group: any EventLoopGroup) {
        self.group = group
        boxes = Dictionary(
            group.makeIterator().map { (ObjectIdentifier($0), NIOLoopBoundBox.makeEmptyBox(valueType: LoopState.self, eventLoop: $0)) },
            uniquingKeysWith: { first, _ in first })
    }

    func next() -> any EventLoop { group.next() }

    /// Returns the shared state of a loop. Must be called on that loop.
    func state(of eventLoop: any EventLoop) -> LoopState {
        guard let box = boxes[ObjectIdentifier(eventLoop)] else { return LoopState() }
        if let state = box.value { return state }
        let state = LoopState()
        box.value = state
        return state
    }
}
