// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The interface of an upgraded connection to its event loop and session.
package protocol ConnectionSocket: AnyObject {
    /// The time at which the last byte was received.
    var lastReceived: Instant { get }
    /// Checks deadlines.
    func tick()
    /// Sends the effects of the handled input and waiting messages of the session.
    func flush()
    /// Announces the close: sends `goaway` if the application has such a message.
    func goAway(reason: StaticString, deadlineMilliseconds: Int64)
    func close(_ closing: Closing)
    /// Closes a connection whose session was taken over by another connection: no further message is read or sent.
    func retire(_ closing: Closing)
    /// Sends the replies that waited for a commit up to `ticket`.
    func release(upTo ticket: UInt64)
    /// Rejects the messages whose replies wait for the failed commit.
    func commitFailed()
    /// Called when ``Connection/lingerTime`` has passed.
    func lingerExpired()
}
