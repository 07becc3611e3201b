import COpenSSL
package import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The keys that session tickets are sealed with (RFC 5077, RFC 8446 §4.6.1): ours, random, in memory only, and changed by age.
///
/// One for the whole process: all loops use it, and it outlives reloads of the certificates, so that clients resume across both. Stateless:
/// the gateway keeps nothing per session. The key before the current one still opens tickets, which are then renewed; so a ticket lives
/// between one and two rotations, and a stolen memory image opens no older ones.
package final class TLSTicketKeys: Sendable {
    struct Key: Sendable {
        static let nameSize = 16
        static let cipherSize = 32
        static let macSize = 32

        var name: [UInt8]
        var cipher: [UInt8]
        var mac: [UInt8]
        var made: NIODeadline
    }

    enum Found: Sendable {
        case current(Key)
        /// Good for opening, but the client is to get a new ticket.
        case previous(Key)
        case unknown
    }

    private struct State: Sendable {
        var current: Key?
        var previous: Key?
    }

    /// `tls.ticket_rotation`, at least a second.
    package let rotation: TimeAmount
    private let now: @Sendable () -> NIODeadline
    /// Seconds since 1970, for the dates of clients' certificates.
    let wall: @Sendable () -> Int64
    private let state = Mutex(State())

    /// `now` is asked on every ticket that is made or opened, which is once or twice a handshake.
    package init(
        rotation: TimeAmount, now: @escaping @Sendable () -> NIODeadline = { .now() },
        wall: @escaping @Sendable () -> Int64 = { Int64(time(nil)) }
    ) {
        self.rotation = max(rotation, .seconds(1))
        self.now = now
        self.wall = wall
    }

    /// The longest time for which resumptions prolong what one full handshake established (RFC 8446 §4.6.1): since each resumption gives a
    /// new ticket, the lifetime of a single ticket is no bound.
    static let maxSessionAge = TimeAmount.hours(7 * 24)

    /// The current time as tickets carry it. A monotonic clock is enough: no ticket survives the process.
    var handshakeTime: UInt64 { now().uptimeNanoseconds }

    /// Whether a session whose full handshake was at that time may be resumed.
    func mayResume(handshakeAt time: UInt64) -> Bool {
        let (age, isAhead) = now().uptimeNanoseconds.subtractingReportingOverflow(time)
        return !isAhead && age < UInt64(Self.maxSessionAge.nanoseconds)
    }

    /// How long clients are told to keep a ticket, in seconds; at most the week of RFC 8446 §4.6.1.
    var lifetime: Int {
        Int(min(rotation.nanoseconds / 1_000_000_000, 604_800))
    }

    /// The key for a new ticket; `nil` when the system has no random bytes.
    func current() -> Key? {
        let now = now()
        return state.withLock { state in
            rotate(&state, now)
            return state.current
        }
    }

    /// The key that a ticket names.
    func find(_ name: UnsafeRawBufferPointer) -> Found {
        let now = now()
        return state.withLock { state in
            rotate(&state, now)
            if let key = state.current, key.name.elementsEqual(name) { return .current(key) }
            if let key = state.previous, key.name.elementsEqual(name) { return .previous(key) }
            return .unknown
        }
    }

    private func rotate(_ state: inout State, _ now: NIODeadline) {
        if let current = state.current, now - current.made < rotation { return }
        // Nobody came for a whole rotation: then the current key is too old even for opening.
        let isRecent = state.current.map { now - $0.made < rotation + rotation } ?? false
        guard let key = Self.make(now) else {
            // Without random bytes an old key is still better than no service; it is tried again at the next ticket.
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
            mac: Array(bytes[(Key.nameSize + Key.cipherSize)...]), made: now)
    }
}
