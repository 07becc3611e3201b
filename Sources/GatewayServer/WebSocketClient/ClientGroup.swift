import GatewayTLS
import GatewayWebSocket
package import NIOCore
import NIOPosix

/// Event loops for clients, with the state that connections of one loop share.
package final class ClientGroup: Sendable {
    /// The group on NIO's singleton loops, for programs with few clients.
    package static let shared = ClientGroup(MultiThreadedEventLoopGroup.singleton)

    /// State shared by the connections of a loop; accessed only on that loop.
    final class Loop {
        let tls = TLSBuffers()
        let deflate = SharedDeflate()
    }

    private let group: any EventLoopGroup
    private let boxes: [ObjectIdentifier: NIOLoopBoundBox<Loop?>]

    /// - Parameter group: owned by the caller, which shuts it down
    package init(_ group: any EventLoopGroup) {
        self.group = group
        boxes = Dictionary(
            group.makeIterator().map { (ObjectIdentifier($0), NIOLoopBoundBox.makeEmptyBox(valueType: Loop.self, eventLoop: $0)) },
            uniquingKeysWith: { first, _ in first })
    }

    func next() -> any EventLoop { group.next() }

    /// Returns the shared state of a loop. To be called on that loop.
    func loop(_ eventLoop: any EventLoop) -> Loop {
        guard let box = boxes[ObjectIdentifier(eventLoop)] else { return Loop() }
        if let loop = box.value { return loop }
        let loop = Loop()
        box.value = loop
        return loop
    }
}
