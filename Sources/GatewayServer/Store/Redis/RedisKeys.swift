// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The keys of the store in Redis. The part in braces determines the slot in a cluster.
struct RedisKeys: Sendable {
    /// `store.prefix`.
    let prefix: String
    private let prefixBytes: [UInt8]

    init(prefix: String) {
        self.prefix = prefix
        prefixBytes = Array(prefix.utf8)
    }

    /// The hash with all records of a session.
    func session(_ id: ULID) -> [UInt8] { key("{s:") { id.append(to: &$0) } }

    /// The string with the session of a resume token.
    func token(_ hash: TokenHash) -> [UInt8] {
        key("{t:") { key in
            for word in hash.values {
                for shift in stride(from: 60, through: 0, by: -4) {
                    let digit = UInt8(truncatingIfNeeded: word >> UInt64(shift)) & 15
                    key.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
                }
            }
        }
    }

    /// The hash with the lease of a node.
    func node(_ name: String) -> [UInt8] { key("{n:") { $0 += name.utf8 } }

    /// The sorted set of node names, by the time of their last lease.
    var nodes: [UInt8] { prefixBytes + "nodes".utf8 }

    /// The string with the random id of the store's contents.
    var epoch: [UInt8] { prefixBytes + "{epoch}".utf8 }

    /// The string that is written to test whether the store accepts writes.
    var probe: [UInt8] { prefixBytes + "{probe}".utf8 }

    /// The hash with the usage of a user on a day.
    func usage(_ user: String, _ day: UTCDay) -> [UInt8] { key("{u:") { $0 += user.utf8 } + ":\(day.number)".utf8 }

    /// The set of the sessions of a user.
    func sessions(of user: String) -> [UInt8] { key("{us:") { $0 += user.utf8 } }

    /// The hash with the state of a request with an idempotency key.
    func request(_ hash: [UInt8]) -> [UInt8] { key("{i:") { key in for byte in hash { key += RedisKeys.hex(byte) } } }

    private static func hex(_ byte: UInt8) -> [UInt8] {
        [byte >> 4, byte & 15].map { $0 < 10 ? 0x30 + $0 : 0x57 + $0 }
    }

    /// The sorted set of the users with usage on a day.
    func users(_ day: UTCDay) -> [UInt8] { key("{users:") { $0 += "\(day.number)".utf8 } }

    /// The hash with the uses of a token.
    func tokenUse(_ id: String) -> [UInt8] { key("{use:") { $0 += id.utf8 } }

    /// The hash with the revocation of a user.
    func revocation(_ user: String) -> [UInt8] { key("{rev:") { $0 += user.utf8 } }

    /// The sorted set of revoked users, by the end of the revocation.
    var revocations: [UInt8] { prefixBytes + "revocations".utf8 }

    /// The sorted set of revoked users, by the time of their last revocation in Unix ms of the server.
    var revocationTimes: [UInt8] { prefixBytes + "{revtimes}".utf8 }

    /// The hash with the key that signs minted tokens.
    var mintingKey: [UInt8] { prefixBytes + "{mintkey}".utf8 }

    /// The hash with the connections of a user, by their ids.
    func connections(_ user: String) -> [UInt8] { key("{c:") { $0 += user.utf8 } }

    /// The string with the state of `limits.global_per_second`.
    var globalRate: [UInt8] { prefixBytes + "{g}".utf8 }

    /// The hash with the report of a session.
    func report(_ id: ULID) -> [UInt8] { key("{r:") { id.append(to: &$0) } }

    /// The sorted set of sessions with a report, in the order of their ids.
    var reports: [UInt8] { prefixBytes + "reports".utf8 }

    /// The string with the annotation of a session, as JSON.
    func annotation(_ id: ULID) -> [UInt8] { key("{a:") { id.append(to: &$0) } }

    private func key(_ tag: StaticString, _ append: (inout [UInt8]) -> Void) -> [UInt8] {
        var key: [UInt8] = []
        key.reserveCapacity(prefixBytes.count + 72)
        key += prefixBytes
        tag.withUTF8Buffer { key += $0 }
        append(&key)
        key.append(UInt8(ascii: "}"))
        return key
    }
}
