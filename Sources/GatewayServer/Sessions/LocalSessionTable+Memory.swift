// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Logging

/// An event loop's part of a memory reclaim.
extension LocalSessionTable {
    /// Reports the memory usage of the sessions. The last loop to report plans the steps.
    func reportMemoryUsage() {
        let shared = loop.shared
        let usages = all.map { $0.memoryUsage }
        guard let found = shared.memoryReclaim.report(usages) else { return }
        let steps = loop.settings.memoryReclaim.steps(for: found.usages, forNewSession: found.isForNewSession)
        let parts = Dictionary(grouping: steps, by: \.loop)
        shared.memoryReclaim.expect(max(1, parts.count))
        guard !parts.isEmpty else { return shared.memoryReclaim.finish() }
        log(steps)
        for (number, part) in parts {
            guard let mailbox = shared.mailbox(number) else {
                shared.memoryReclaim.finish()
                continue
            }
            mailbox.perform(part)
        }
    }

    /// Performs this loop's steps of the planned reclaim.
    func perform(_ steps: [MemoryReclaim.Step]) {
        for step in steps { perform(step) }
        loop.publishMemory()
        loop.shared.memoryReclaim.finish()
    }

    /// Performs a step, unless the session has ended, was transferred, or was attached since it was planned.
    private func perform(_ step: MemoryReclaim.Step) {
        switch step {
        case .dropHistory(let id, _): self[id]?.dropHistory()
        case .endDetached(let id, _):
            if let driver = self[id], !driver.isAttached { driver.end(.memoryLimit) }
        case .endAttached(let id, _): self[id]?.endForMemory()
        }
    }

    private func log(_ steps: [MemoryReclaim.Step]) {
        guard case .write(let suppressed) = loop.throttle.admit(.memory, now: loop.clock.now) else { return }
        let cut = steps.count { if case .dropHistory = $0 { true } else { false } }
        var metadata: Logger.Metadata = [
            "histories_cut": .stringConvertible(cut), "sessions_ended": .stringConvertible(steps.count - cut),
            "memory_bytes": .stringConvertible(loop.totalMemory),
        ]
        if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
        loop.logger.warning("session memory budget nearly exhausted", metadata: metadata)
    }
}
