// SPDX-License-Identifier: Apache-2.0

/// The counters and histograms of one event loop, which alone writes to them. A scrape adds the values of all loops.
///
/// Every counter is a plain integer in memory that is allocated once: counting takes a few instructions and allocates nothing. To read the
/// values elsewhere, add them to an empty value on the event loop. A copy would share memory, and the next count would have to allocate.
package struct LoopMetrics: Sendable {
    // MARK: Connections

    /// Accepted sockets.
    package var accepted: UInt64 = 0
    package var rejections = Counters<ConnectionRejection>()
    package var handshakes = Counters<HandshakeKind>()
    /// From the accepted socket, or the end of its PROXY header, to the completed handshake, in nanoseconds.
    package var handshakeTime = Histogram()
    package var handshakeFailures = Counters<HandshakeFailure>()
    package var authFailures = Counters<AuthFailure>()

    // MARK: Sessions

    package var endings = Counters<SessionEnding>()
    package var resumes = Counters<ResumeOutcome>()
    /// The memory usage of one session, in bytes, measured for every session about every ten seconds.
    package var sessionMemory = Histogram()

    // MARK: Messages

    package var inbound = Counters<InboundMessageType>()
    package var outbound = Counters<OutboundMessageType>()
    /// Bytes of received WebSocket frames.
    package var bytesIn: UInt64 = 0
    /// Bytes of sent WebSocket frames.
    package var bytesOut: UInt64 = 0
    /// The time to handle one message, in nanoseconds: the time of a read divided by the number of its messages.
    package var handlingTime = Histogram()
    /// Errors sent, by code.
    package var errors = Counters<ErrorCode>()
    /// The last error of each code, by ``ErrorCode/ordinal``.
    package private(set) var errorExemplars = [Exemplar?](repeating: nil, count: ErrorCode.allCases.count)
    package private(set) var closes = CloseInitiator.allCases.map { _ in Counters<CountedCloseCode>() }

    // MARK: Connection quality

    /// The round-trip time of a ping, in nanoseconds.
    package var pingTime = Histogram()
    /// Heartbeats without a pong in time.
    package var missedPongs: UInt64 = 0
    /// The bytes that wait for one socket, measured for every attached session about every ten seconds.
    package var socketQueue = Histogram()
    package var slowConsumers: UInt64 = 0

    // MARK: Limits

    package var rateLimited = Counters<RateRule>()
    package var quotaExceeded = Counters<Quota>()

    // MARK: Voice

    package var voice = VoiceMetrics()

    // MARK: The event loop

    /// The delay of the timer that ticks every 100 ms, in nanoseconds.
    package var lag = Histogram()

    package init() {}

    /// Counts a sent message of a session.
    // Not generic, so that callers in other modules don't depend on the optimizer to specialize the counters.
    package mutating func countSent(_ type: OutboundMessageType) { outbound.add(type) }

    /// Counts an error that was sent to a client or by an HTTP response.
    package mutating func countError(_ code: ErrorCode, correlationID: ULID, wall: Int64) {
        errors.add(code)
        errorExemplars[code.ordinal] = Exemplar(correlationID: correlationID, wall: wall)
    }

    package mutating func countClose(_ code: UInt16?, by initiator: CloseInitiator) {
        closes[initiator.ordinal].add(CountedCloseCode(code))
    }

    /// Adds the counters and histograms of another event loop.
    package mutating func add(_ other: LoopMetrics) {
        accepted &+= other.accepted
        rejections.add(other.rejections)
        handshakes.add(other.handshakes)
        handshakeTime.add(other.handshakeTime)
        handshakeFailures.add(other.handshakeFailures)
        authFailures.add(other.authFailures)
        endings.add(other.endings)
        resumes.add(other.resumes)
        sessionMemory.add(other.sessionMemory)
        inbound.add(other.inbound)
        outbound.add(other.outbound)
        bytesIn &+= other.bytesIn
        bytesOut &+= other.bytesOut
        handlingTime.add(other.handlingTime)
        errors.add(other.errors)
        for index in errorExemplars.indices { errorExemplars[index] = Exemplar.newer(errorExemplars[index], other.errorExemplars[index]) }
        for index in closes.indices { closes[index].add(other.closes[index]) }
        pingTime.add(other.pingTime)
        missedPongs &+= other.missedPongs
        socketQueue.add(other.socketQueue)
        slowConsumers &+= other.slowConsumers
        rateLimited.add(other.rateLimited)
        quotaExceeded.add(other.quotaExceeded)
        voice.add(other.voice)
        lag.add(other.lag)
    }
}

/// A reference from a metric to one event that it counts: the correlation id, which the log has, too.
package struct Exemplar: Sendable, Hashable {
    package var correlationID: ULID
    /// Unix milliseconds.
    package var wall: Int64

    package init(correlationID: ULID, wall: Int64) {
        self.correlationID = correlationID
        self.wall = wall
    }

    package static func newer(_ left: Exemplar?, _ right: Exemplar?) -> Exemplar? {
        guard let left, let right else { return left ?? right }
        return left.wall < right.wall ? right : left
    }
}
