// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import GatewayCore
import Logging
import Synchronization

/// Outages: times during which commits fail.
extension SQLiteStore {
    /// Writes one page, to test whether the file is writable.
    static func probe(_ database: Database) throws {
        try database.execute(sql: "PRAGMA application_id = \(applicationID)")
    }

    /// Records a failed commit.
    func beginOutage(_ error: StoreError) {
        if !isFailing.exchange(true, ordering: .relaxed) {
            lines.log(.error, as: .storeFailing, "commits to the store fail; retrying", ["error": "\(error)"])
        }
        health.set(.store, .notReady(error.description))
    }

    /// Records the first successful commit after failed ones.
    func endOutage() {
        guard !isFileMissing.load(ordering: .relaxed) else { return }
        health.set(.store, .ready)
        lines.log(.notice, as: .storeRecovered, "commits to the store succeed again")
    }
}
