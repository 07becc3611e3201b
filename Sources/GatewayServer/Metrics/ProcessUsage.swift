// SPDX-License-Identifier: Apache-2.0

import CLinux

#if canImport(Glibc)
import Glibc
#endif

/// The resources that the process uses, by the names that Prometheus's client libraries share.
package struct ProcessUsage: Sendable {
    package var cpuSeconds = 0.0
    /// Nil where `/proc` isn't mounted.
    package var residentBytes: Int64?
    package var openDescriptors: Int?
    package var maximumDescriptors: Int

    /// Returns the current usage.
    ///
    /// - Parameter descriptorLimit: `Int.max` if there is none
    package static func now(descriptorLimit: Int) -> ProcessUsage {
        var usage = ProcessUsage(maximumDescriptors: descriptorLimit)
        usage.cpuSeconds = Double(parley_clock_nanoseconds(CLOCK_PROCESS_CPUTIME_ID)) / 1_000_000_000
        usage.residentBytes = ResidentMemory.bytes.map(Int64.init)
        usage.openDescriptors = DescriptorLimit.openCount()
        return usage
    }

    private init(maximumDescriptors: Int) { self.maximumDescriptors = maximumDescriptors }
}
