// SPDX-License-Identifier: Apache-2.0

/// The identifier of an accepted request between a session and its upstream; never reused within a session.
package struct RequestKey: Hashable, Sendable {
    package let number: UInt64

    package init(number: UInt64) { self.number = number }
}
