// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// A handler that receives decrypted bytes directly from ``TLSHandler`` and may modify them in place.
package protocol PlaintextReceiver: AnyObject {
    /// - Parameter buffer: uniquely referenced during the call; reused by the event loop afterwards.
    func receive(_ buffer: inout ByteBuffer)
}
