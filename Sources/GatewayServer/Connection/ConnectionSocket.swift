package import GatewayCore

/// An upgraded connection, for its event loop and its session.
package protocol ConnectionSocket: AnyObject {
    /// Looks at deadlines.
    func tick()
    /// Sends the effects of the loop's turn and waiting messages of the session.
    func flush()
    /// Announces the end: `goaway` where the application has such a message.
    func goAway(reason: StaticString, deadlineMilliseconds: Int64)
    func close(_ closing: Closing)
    /// Closes a connection whose session another one has taken over: nothing more is read or sent for it.
    func retire(_ closing: Closing)
    /// Sends the replies that waited for a commit.
    func release(upTo ticket: UInt64)
    /// Refuses messages whose replies wait for a commit that has failed.
    func commitFailed()
    /// The time to read the last frames in is over.
    func lingered()
}
