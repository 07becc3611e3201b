// SPDX-License-Identifier: Apache-2.0

extension ConfigurationKey {
    /// `push.*`, `supervision.*`.
    static let pushing: [ConfigurationKey] = [
        .count(
            "push.undelivered_max", \.push.undeliveredMax, zero: "none", reload: .live,
            "Maximum undelivered pushes that are kept for a retry, for 24 h. Beyond it, the oldest are dropped."),
        .duration(
            "supervision.takeover_timeout", \.supervision.takeoverTimeout, zero: "no limit", reload: .live,
            "An operator who gives no command for this long hands the session back to the upstream."),
    ]
}
