// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayServer
import GatewayTLS
import NIOCore
import NIOHTTP1

/// `parley health`: a probe for containers and scripts.
struct Health: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check whether a gateway is ready, for health checks of containers and scripts.",
        discussion: """
            Requests /readyz from the operations listener named by the local configuration, without a token, and prints the result in one \
            line.

            Exit codes:
              0  ready
              1  not ready
              64  wrong usage
              69  no response within 5 s
              78  invalid configuration
            """)

    @Option(
        help:
            "host:port of the operations listener, or https://host:port if it uses TLS; default: operations.address of the local configuration."
    )
    var address: String?
    @Flag(help: "Check the TLS listener (listen.address) instead. The certificate isn't verified.") var listen = false
    @Flag(help: "Check only whether the process responds (/livez).") var live = false
    @Option(help: "Configuration directory, as for serve.") var config: String?
    @Option(help: "Environment of the configuration (development, staging or production), as for serve.") var environment: String?

    private static let timeout = Duration.seconds(5)
    private static let maximumBodyBytes = 65_536

    /// The parts of the response that are printed.
    private struct Report: Decodable {
        struct Part: Decodable {
            var name: String
            var ready: Bool
            var reason: String?
        }

        var parts: [Part]?
    }

    func run() async throws {
        let (endpoint, isSecure) = try endpoint()
        var head = HTTPRequestHead(
            version: .http1_1, method: .GET, uri: live ? "/livez" : "/readyz", headers: ["Host": "\(endpoint)", "Connection": "close"])
        head.headers.add(name: "User-Agent", value: "parley-health")
        // No secret is sent, so the certificate of the operations listener isn't verified either.
        let tls = isSecure ? try TLSClientContext(verify: .none, serverName: nil) : nil
        let fetch = HTTPFetch(
            host: endpoint.host, port: endpoint.port, tls: tls, timeout: Self.timeout, maximumBodyBytes: Self.maximumBodyBytes)
        let response: HTTPFetch.Response
        do throws(HTTPFetchError) {
            response = try await fetch.perform(head)
        } catch {
            print("unreachable: \(endpoint): \(ClientText.safe(OperationsClient.reason(error)))")
            throw ExitCode(GatewayOptions.unavailable)
        }
        guard response.status == 200 else {
            print(ClientText.safe("not ready: \(Self.reason(response))"))
            throw ExitCode(1)
        }
        print(live ? "live" : "ready")
    }

    /// Returns the parts that aren't ready with their reasons, or the status of any other response.
    private static func reason(_ response: HTTPFetch.Response) -> String {
        let report = try? JSONDecoder().decode(Report.self, from: Data(response.body.readableBytesView))
        let parts = (report?.parts ?? []).filter { !$0.ready }
        guard !parts.isEmpty else { return "status \(response.status)" }
        return parts.map { part in part.reason.map { "\(part.name): \($0)" } ?? part.name }.joined(separator: "; ")
    }

    private func endpoint() throws -> (SocketEndpoint, isSecure: Bool) {
        if let address {
            guard let target = OperationsAddress(address) else { throw GatewayOptions.invalidAddress }
            return (target.endpoint, target.isSecure || listen)
        }
        let flags = GatewayOptions.flags(config: config, environment: environment)
        let configuration = try GatewayOptions.load(flags)
        let address = listen ? configuration.listen.address : configuration.operations.address
        return (address.reachable, listen || !configuration.operations.certificates.isEmpty)
    }
}

extension SocketEndpoint {
    /// The address to which a client on this machine connects: it can't connect to a wildcard address, but a listener on one always accepts
    /// connections to the loopback address.
    var reachable: SocketEndpoint {
        switch host {
        case "0.0.0.0": SocketEndpoint(host: "127.0.0.1", port: port)
        case "::": SocketEndpoint(host: "::1", port: port)
        default: self
        }
    }
}
