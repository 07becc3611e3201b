package import NIOCore

/// A handler that takes decrypted bytes directly from ``TLSHandler``, and may change them in place.
package protocol PlaintextReceiver: AnyObject {
    /// - Parameter buffer: not shared with anyone during the call; belongs to the event loop again afterwards.
    func receive(_ buffer: inout ByteBuffer)
}
