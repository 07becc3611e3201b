// SPDX-License-Identifier: Apache-2.0

/// Gateways that many tests use concurrently, one for each configuration. They exit with the tests' process.
package actor SharedGateways {
    package static let shared = SharedGateways()

    private var starting: [[String: String]: Task<GatewayProcess, any Error>] = [:]

    /// Flags that disable the limits that concurrent tests could reach.
    package static let withoutLimits = [
        "connections.max": "0", "connections.max_sockets": "0", "connections.per_address": "0", "sessions.max": "0",
        "limits.text_per_minute": "0", "limits.audio_per_minute": "0", "limits.audio_chunks_per_second": "0",
        "limits.audio_realtime_factor": "0", "limits.control_per_minute": "0", "limits.refusals_per_minute": "0",
        "limits.bytes_per_second": "0", "messages.max_violations": "0",
    ]

    /// Returns the gateway with these limits disabled, overridden by `flags`.
    package static func withoutLimits(_ flags: [String: String] = [:]) async throws -> GatewayProcess {
        try await shared.gateway(withoutLimits.merging(flags) { $1 })
    }

    private func gateway(_ flags: [String: String]) async throws -> GatewayProcess {
        if let task = starting[flags] { return try await task.value }
        let task = Task { try await GatewayProcess(flags) }
        starting[flags] = task
        return try await task.value
    }
}
