// SPDX-License-Identifier: Apache-2.0

extension ConfigurationSection {
    /// `push.*`: messages that a back office pushes into sessions.
    package struct Push: Sendable, Equatable {
        /// Maximum undelivered pushes that are kept for a retry, the oldest dropped beyond; 0: none.
        package var undeliveredMax = 1000
    }

    /// `supervision.*`: operators who take sessions over.
    package struct Supervision: Sendable, Equatable {
        /// How long an operator may be idle before the upstream answers again; 0: no limit.
        package var takeoverTimeout = Duration.seconds(600)
    }
}
