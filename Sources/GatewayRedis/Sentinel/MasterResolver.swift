// SPDX-License-Identifier: Apache-2.0

/// Finds the address of the master: the next configured endpoint, or the master that a Sentinel names. Used on one event loop only.
final class MasterResolver {
    private let connector: RedisConnector
    /// The configured endpoints in the order of the next attempt.
    private var endpoints: [RedisEndpoint]

    init(connector: RedisConnector) {
        self.connector = connector
        endpoints = connector.settings.endpoints
    }

    /// How many addresses to try before an attempt to connect has failed.
    var candidateCount: Int { connector.settings.mode == .single ? max(1, endpoints.count) : 1 }

    /// Returns the next endpoint, in turn.
    func nextEndpoint() -> RedisEndpoint? {
        guard !endpoints.isEmpty else { return nil }
        let endpoint = endpoints.removeFirst()
        endpoints.append(endpoint)
        return endpoint
    }

    /// Finds the address of a master. In a cluster it is one of the nodes.
    func resolve(completion: @escaping (Result<RedisEndpoint, RedisConnector.Failure>) -> Void) {
        guard case .sentinel(let name) = connector.settings.mode else {
            guard let endpoint = nextEndpoint() else { return completion(.failure(.init(reason: "no endpoint is configured"))) }
            return completion(.success(endpoint))
        }
        ask(remaining: endpoints.count, name, reason: "no Sentinel is configured", completion: completion)
    }

    /// Asks one Sentinel after the other. The one that replies is asked first the next time.
    private func ask(
        remaining: Int, _ name: String, reason: String, completion: @escaping (Result<RedisEndpoint, RedisConnector.Failure>) -> Void
    ) {
        guard remaining > 0, let sentinel = endpoints.first else { return completion(.failure(.init(reason: reason))) }
        let tryNext = { [self] (reason: String) in
            _ = nextEndpoint()
            ask(remaining: remaining - 1, name, reason: reason, completion: completion)
        }
        connector.connect(to: sentinel, for: .sentinel) { result in
            switch result {
            case .failure(let failure): tryNext(failure.reason)
            case .success(let opened):
                var command = RedisCommand("SENTINEL")
                command.append("get-master-addr-by-name" as StaticString)
                command.append(name)
                opened.connection.send(command) { result in
                    defer { opened.connection.close("done") }
                    switch result {
                    case .failure(let failure): tryNext("\(sentinel): \(failure)")
                    case .success(let reply):
                        guard let elements = reply.elements, elements.count == 2, let host = elements[0].text,
                            let port = elements[1].number, 1...65535 ~= port
                        else { return tryNext("\(sentinel): the Sentinel doesn't know the master \(name)") }
                        completion(.success(RedisEndpoint(host: host, port: Int(port))))
                    }
                }
            }
        }
    }
}

@available(*, unavailable)
extension MasterResolver: Sendable {}
