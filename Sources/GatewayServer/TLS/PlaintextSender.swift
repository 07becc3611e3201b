package import NIOCore

/// Takes plaintext without the detour over the pipeline: what ``PlaintextReceiver`` is to the way in.
package protocol PlaintextSender: AnyObject {
    /// Whether everything sent before is with the kernel, and more would go there at once.
    var isClear: Bool { get }
    /// Encrypts and sends. What the kernel doesn't take waits in the channel, whose writability tells.
    func send(plaintext: ByteBuffer)
}
