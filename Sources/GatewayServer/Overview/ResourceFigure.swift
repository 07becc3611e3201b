// SPDX-License-Identifier: Apache-2.0

/// The use of a limited resource: now, at most since the start, and the limit.
package struct ResourceFigure: Sendable, Hashable, Codable {
    package var current: Int
    package var peak: Int
    /// Nil if there is no limit.
    package var limit: Int?

    package init(current: Int, peak: Int, limit: Int? = nil) {
        self.current = current
        self.peak = max(current, peak)
        self.limit = limit
    }

    /// - Parameter maximum: the limit; `Int.max` for none
    package init(current: Int, peak: Int, maximum: Int) {
        self.init(current: current, peak: peak, limit: maximum == .max ? nil : maximum)
    }
}
