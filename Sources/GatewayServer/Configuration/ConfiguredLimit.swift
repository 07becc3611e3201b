// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// Converts configured limits, in which 0 means "no limit", to values in which the type's maximum does.
enum ConfiguredLimit {
    static func unlimitedIfZero(_ duration: Duration) -> Int64 { duration == .zero ? .max : duration.clampedNanoseconds }
    static func unlimitedIfZero(_ duration: Duration) -> Instant.Duration { duration == .zero ? .max : Instant.Duration(duration) }
    static func unlimitedIfZero(_ count: Int) -> Int { count == 0 ? .max : count }
}
