// SPDX-License-Identifier: Apache-2.0

/// A subscription to the failovers that a Sentinel announces. Used on one event loop only.
final class SentinelWatch {
    private let core: SubscriberCore

    /// - Parameters:
    ///   - master: the name of the master
    ///   - onSwitch: called with the address of each new master
    init(connector: RedisConnector, master: String, onSwitch: @escaping (RedisEndpoint) -> Void) {
        let endpoints = MasterResolver(connector: connector)
        core = SubscriberCore(connector: connector, purpose: .sentinel, channels: ["+switch-master"]) { completion in
            guard let endpoint = endpoints.nextEndpoint() else { return completion(.failure(.init(reason: "no Sentinel is configured"))) }
            completion(.success(endpoint))
        }
        core.onMessage = { _, message in
            if let endpoint = Self.newMaster(message, of: master) { onSwitch(endpoint) }
        }
    }

    func start() { core.start() }

    func stop() { core.stop() }

    /// Parses `<name> <old address> <old port> <new address> <new port>`.
    ///
    /// - Returns: nil if the message is about another master or malformed
    static func newMaster(_ message: [UInt8], of master: String) -> RedisEndpoint? {
        let words = String(decoding: message, as: UTF8.self).split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 5, words[0] == master, let port = UInt16(words[4]), port > 0 else { return nil }
        return RedisEndpoint(host: String(words[3]), port: Int(port))
    }
}

@available(*, unavailable)
extension SentinelWatch: Sendable {}
