import GatewayTLS
import GatewayWebSocket
package import NIOCore
import NIOPosix

/// Event loops for clients, and what the connections of one loop share.
package final class ClientGroup: Sendable {
    /// On NIO's own loops, for programs with a client or a few.
    package static let shared = ClientGroup(MultiThreadedEventLoopGroup.singleton)

    /// Seen by its own loop only.
    final class Loop {
        let tls = TLSBuffers()
        let deflate = SharedDeflate()
    }

    private let group: any EventLoopGroup
    private let boxes: [ObjectIdentifier: NIOLoopBoundBox<Loop?>]

    /// - Parameter group: belongs to the caller, who shuts it down.
    package init(_ group: any EventLoopGroup) {
        self.group = group
        boxes = Dictionary(
            group.makeIterator().map { (ObjectIdentifier($0), NIOLoopBoundBox.makeEmptyBox(valueType: Loop.self, eventLoop: $0)) },
            uniquingKeysWith: { first, _ in first })
    }

    func next() -> any EventLoop { group.next() }

    /// To be called on that loop.
    func loop(_ eventLoop: any EventLoop) -> Loop {
        guard let box = boxes[ObjectIdentifier(eventLoop)] else { return Loop() }
        if let loop = box.value { return loop }
        let loop = Loop()
        box.value = loop
        return loop
    }
}
