// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The sessions that can be tapped. The gateway implements this protocol; tests can use other implementations.
package protocol SessionTapDirectory: Sendable {
    /// Adds the messages of a session to a tap, until the session or the tap ends.
    func attach(_ tap: SessionTap, to id: ULID) async -> SessionTapAdmission
}

package enum SessionTapAdmission: Sendable, Hashable {
    case attached
    /// The session has ``SessionTap/maximumTaps`` taps.
    case full
    /// There is no live session with the id.
    case unknown
}

extension Gateway: SessionTapDirectory {
    package func attach(_ tap: SessionTap, to id: ULID) async -> SessionTapAdmission {
        await find(id) { table in table[id].map { $0.add(tap) ? .attached : .full } } ?? .unknown
    }
}
