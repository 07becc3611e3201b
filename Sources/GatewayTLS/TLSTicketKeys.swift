// SPDX-License-Identifier: Apache-2.0

import COpenSSL
package import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The keys that seal session tickets (RFC 5077, RFC 8446 §4.6.1): random, in memory only, and rotated.
///
/// Shared by all event loops, and kept across reloads of the certificates, so that clients can resume on any loop and after a reload. The
/// gateway stores nothing per session. The previous key still opens tickets, which are then renewed. So a ticket lives between one and two
/// rotations, and with a leaked memory image older tickets can't be opened.
package final class TLSTicketKeys: Sendable {
    struct Key: Sendable {
        static let nameSize = 16
        static let cipherSize = 32
        static let macSize = 32

        var name: [UInt8]
        var cipher: [UInt8]
        var mac: [UInt8]
        var createdAt: NIODeadline
    }

    enum LookupResult: Sendable {
        case current(Key)
        /// Opens tickets, but the client must get a new ticket.
        case previous(Key)
        case unknown
    }

    private struct State: Sendable {
        var current: Key?
        var previous: Key?
    }

    /// `tls.ticket_rotation`, at least one second.
    package let rotation: TimeAmount
    private let now: @Sendable () -> NIODeadline
    /// The wall clock in seconds since 1970, for the validity of client certificates.
    let wall: @Sendable () -> Int64
    private let state = Mutex(State())

    /// - Parameter now: called for every sealed or opened ticket, once or twice per handshake
    package init(
        rotation: TimeAmount, now: @escaping @Sendable () -> NIODeadline = { .now() },
        wall: @escaping @Sendable () -> Int64 = { Int64(time(nil)) }
    ) {
        self.rotation = max(rotation, .seconds(1))
        self.now = now
        self.wall = wall
    }

    /// The maximum time for which resumptions can extend a full handshake (RFC 8446 §4.6.1). The lifetime of a single ticket doesn't limit it,
    /// because each resumption issues a new ticket.
    static let maxSessionAge = TimeAmount.hours(7 * 24)

    /// The current time for new tickets. A monotonic clock suffices, because no ticket outlives the process.
    var handshakeTime: UInt64 { now().uptimeNanoseconds }

    /// Returns whether a session with a full handshake at `time` may be resumed.
    func mayResume(handshakeAt time: UInt64) -> Bool {
        let (age, isAhead) = now().uptimeNanoseconds.subtractingReportingOverflow(time)
        return !isAhead && age < UInt64(Self.maxSessionAge.nanoseconds)
    }

    /// The lifetime of tickets that is sent to clients, in seconds; at most a week (RFC 8446 §4.6.1).
    var lifetime: Int {
        Int(min(rotation.nanoseconds / 1_000_000_000, 604_800))
    }

    /// Returns the key for a new ticket; `nil` if the system has no random bytes.
    func current() -> Key? {
        let now = now()
        return state.withLock { state in
            rotate(&state, now)
            return state.current
        }
    }

    /// Returns the key with the name in a ticket.
    func find(_ name: UnsafeRawBufferPointer) -> LookupResult {
        let now = now()
        return state.withLock { state in
            rotate(&state, now)
            if let key = state.current, key.name.elementsEqual(name) { return .current(key) }
            if let key = state.previous, key.name.elementsEqual(name) { return .previous(key) }
            return .unknown
        }
    }

    private func rotate(_ state: inout State, _ now: NIODeadline) {
        if let current = state.current, now - current.createdAt < rotation { return }
        // After a whole rotation without tickets, the current key is too old even for opening.
        let isRecent = state.current.map { now - $0.createdAt < rotation + rotation } ?? false
        guard let key = Self.make(now) else {
            // Without random bytes, the old key stays in use, and rotation is retried at the next ticket.
            return
        }
        state.previous = isRecent ? state.current : nil
        state.current = key
    }

    private static func make(_ now: NIODeadline) -> Key? {
        var bytes = [UInt8](repeating: 0, count: Key.nameSize + Key.cipherSize + Key.macSize)
        guard RAND_priv_bytes(&bytes, Int32(bytes.count)) == 1 else { return nil }
        return Key(
            name: Array(bytes[..<Key.nameSize]), cipher: Array(bytes[Key.nameSize..<Key.nameSize + Key.cipherSize]),
            mac: Array(bytes[(Key.nameSize + Key.cipherSize)...]), createdAt: now)
    }
}
