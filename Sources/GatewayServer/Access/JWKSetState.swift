// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import ParleyClient

/// The state of a ``JWKSetSource``: the sets in force, the schedule of the fetches, and the callers that wait for one.
struct JWKSetState: Sendable {
    /// The set of the file or of the URL.
    struct Origin: Sendable {
        /// The keys in force, from the last set that could be used.
        var keys: [JWKSetKeys.Key] = []
        /// The file or URL of the set in force.
        private var source: String?
        private var digest: SHA256Digest?
        /// The reason why the newest set isn't in force; nil if it is.
        var fault: String?
        var log = RepeatedFaultLog()

        /// Puts a set in force. After a failure the last set stays in force if it is from the same source.
        ///
        /// - Parameter name: the file or URL, for messages
        /// - Returns: whether the set in force has been replaced with a different one
        mutating func replace(with loaded: Result<LoadedJWKSet, JWKSetError>, from source: String, name: String) -> Bool {
            if self.source != source { (keys, digest) = ([], nil) }
            self.source = source
            switch loaded {
            case .success(let set):
                fault = nil
                guard set.digest != digest else { return false }
                keys = set.keys.keys
                digest = set.digest
                return true
            case .failure(let error):
                fault = "the JWK set \(name) can't be loaded: \(error)"
                return false
            }
        }
    }

    var settings: JWKSetSettings
    var schedule: RefreshSchedule
    var file = Origin()
    var url = Origin()
    /// The number of the current URL and CA. A fetch of an earlier number has no effect.
    var generation = 0
    var isRunning = false
    /// Called with whether a set was fetched.
    var waiting: [@Sendable (Bool) -> Void] = []
    /// Cancels the timer for the next fetch.
    var cancelTimer: (@Sendable () -> Void)?
    var fetch: Task<Void, Never>?
    /// The fingerprint of the file, taken before it was read.
    var fingerprint = ConfigurationFingerprint(of: [])

    init(_ settings: JWKSetSettings) {
        self.settings = settings
        schedule = settings.schedule
    }

    /// The keys of both sets.
    var keys: [JWKSetKeys.Key] { file.keys + url.keys }

    /// The state of the part `token_keys`.
    var health: HealthState {
        let faults = [file.fault, url.fault].compactMap(\.self)
        let reason = faults.isEmpty ? "no key can verify tokens" : faults.joined(separator: "; ")
        guard settings.hasOtherKeys || !keys.isEmpty else { return .notReady(reason) }
        return faults.isEmpty ? .ready : .degraded(reason)
    }

    /// Takes the callers that wait for the end of a fetch.
    mutating func takeWaiting() -> [@Sendable (Bool) -> Void] {
        defer { waiting = [] }
        return waiting
    }

    /// Replaces the settings, except for the contents of the file.
    ///
    /// - Returns: whether a set must be fetched now
    mutating func apply(_ new: JWKSetSettings) -> Bool {
        let old = settings
        settings = new
        schedule.set(interval: .init(new.refresh), minimumInterval: .init(new.minimumInterval))
        if new.file == nil { file = Origin() }
        let isUnchanged = new.url == old.url && new.authority == old.authority
        // A reload also retries: the administrator may have removed the cause.
        guard !isUnchanged || url.fault != nil && !schedule.isFetching else { return false }
        generation += 1
        fetch?.cancel()
        fetch = nil
        schedule = new.schedule
        guard let location = new.url else {
            url = Origin()
            return false
        }
        if new.url != old.url {
            url.log = RepeatedFaultLog()
            url.fault = "the JWK set \(location.nameWithoutQuery) isn't fetched yet"
        }
        return true
    }
}

/// A set that was read or fetched.
struct LoadedJWKSet: Sendable {
    let keys: JWKSetKeys
    let digest: SHA256Digest

    init(_ bytes: [UInt8]) throws(JWKSetError) {
        keys = try JWKSetKeys(bytes)
        digest = SHA256.hash(bytes)
    }
}

/// Decides which of the same failures in a row are logged: the first, and one every ten minutes.
struct RepeatedFaultLog: Sendable {
    private var last: (reason: String, at: Instant)?
    private var suppressed = 0

    private static let interval = Instant.Duration.seconds(600)

    /// Returns the number of lines that were suppressed before this one; nil if this one is.
    mutating func admit(_ reason: String, now: Instant) -> Int? {
        if let last, last.reason == reason, now - last.at < Self.interval {
            suppressed += 1
            return nil
        }
        defer { suppressed = 0 }
        last = (reason, now)
        return suppressed
    }
}

extension UpstreamURL {
    /// The URL for messages. A query may contain a credential.
    var nameWithoutQuery: String { "\(scheme)://\(location.authority)\(location.target.prefix { $0 != "?" })" }
}
