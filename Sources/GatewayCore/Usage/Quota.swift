// SPDX-License-Identifier: Apache-2.0

/// A limit on what one user may use of a resource within a UTC day or month, named as the configuration key `quotas.<name>`.
package struct Quota: Hashable, Sendable, CaseIterable {
    /// What is counted.
    package enum Resource: String, Sendable, CaseIterable {
        case messages
        case audioSecondsIn = "audio_seconds_in"
        case audioSecondsOut = "audio_seconds_out"
        case inputTokens = "input_tokens"
        case outputTokens = "output_tokens"
        /// In the unit of the configured prices.
        case cost
    }

    /// The time after which the count begins again at 0.
    package enum Period: String, Sendable, CaseIterable {
        case day, month
    }

    package let resource: Resource
    package let period: Period

    package init(_ resource: Resource, per period: Period) {
        self.resource = resource
        self.period = period
    }

    /// Returns the quota of a name such as `messages_per_day`; nil if there is none.
    package init?(name: some StringProtocol) {
        guard let quota = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = quota
    }

    /// The name within `quotas`: `messages_per_day`.
    package var name: String { "\(resource.rawValue)_per_\(period.rawValue)" }

    /// The configuration key: `quotas.messages_per_day`.
    package var key: String { "quotas.\(name)" }

    package static let allCases = Resource.allCases.flatMap { resource in Period.allCases.map { Quota(resource, per: $0) } }
}

/// The limit of each quota; 0 turns a quota off.
package struct QuotaLimits: Sendable, Equatable {
    private var limits: [Quota: Double] = [:]

    package init() {}

    package subscript(quota: Quota) -> Double {
        get { limits[quota] ?? 0 }
        set { limits[quota] = newValue > 0 ? newValue : nil }
    }

    /// Whether every quota is off.
    package var isEmpty: Bool { limits.isEmpty }
}
