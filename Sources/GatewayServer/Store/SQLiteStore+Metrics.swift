// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Synchronization

/// The metrics of the store.
extension SQLiteStore {
    package var metrics: StoreMetrics? {
        var metrics = measured.withLock { measured in
            // Added rather than copied, so that the writer's histogram stays the only reference to its memory.
            var copy = StoreMetrics()
            copy.commitTime.add(measured.commitTime)
            copy.errors = measured.errors
            return copy
        }
        metrics.bytes = Self.size(of: path) + Self.size(of: path + "-wal")
        return metrics
    }

    private static func size(of path: String) -> Int64 {
        ((try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? NSNumber)?.int64Value ?? 0
    }
}
