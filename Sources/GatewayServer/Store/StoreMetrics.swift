// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The metrics of the store at one moment.
package struct StoreMetrics: Sendable {
    /// The duration of successful commits, in nanoseconds.
    package var commitTime = Histogram()
    /// Failed commits, each attempt of which counts.
    package var errors: UInt64 = 0
    /// The size of the file and its write-ahead log, in bytes.
    package var bytes: Int64 = 0

    package init() {}
}
