// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import NIOCore
import NIOHTTP1
import ParleyClient

/// Fetches a JWK set over HTTPS (RFC 9110): within 10 s, at most 1 MiB, without redirects.
enum JWKSetFetch {
    static let timeout = Duration.seconds(10)

    /// Returns the body of the response, which must have status 200.
    ///
    /// - Parameters:
    ///   - url: an `https` URL
    ///   - authority: PEM file of authorities that are trusted in addition to the system's; read for each fetch
    static func fetch(_ url: UpstreamURL, authority: String?, timeout: Duration = timeout) async throws(JWKSetError) -> [UInt8] {
        let tls: TLSClientContext
        do throws(TLSConfigurationError) {
            tls = try TLSClientContext(
                verify: authority.map { .systemAndAuthority(path: $0) } ?? .system, serverName: url.location.host,
                applicationProtocols: ["http/1.1"])
        } catch {
            throw .authority(error)
        }
        let fetch = HTTPFetch(
            host: url.location.host, port: url.location.port, tls: tls, timeout: timeout, maximumBodyBytes: JWKSet.maximumBytes,
            checkHead: check)
        let headers: HTTPHeaders = [
            "Host": url.location.authority, "Accept": "application/jwk-set+json, application/json", "User-Agent": "parley",
            "Connection": "close",
        ]
        do throws(HTTPFetchError) {
            let request = HTTPRequestHead(version: .http1_1, method: .GET, uri: url.location.target, headers: headers)
            return Array(try await fetch.perform(request).body.readableBytesView)
        } catch {
            throw .fetch(error)
        }
    }

    private static func check(_ head: HTTPResponseHead) throws(HTTPFetchError) {
        switch head.status.code {
        case 200: break
        case 300...303, 307, 308: throw .redirect(head.status.code)
        case let status: throw .status(status)
        }
        guard head.headers[canonicalForm: "Content-Encoding"].allSatisfy({ $0.lowercased() == "identity" }) else { throw .contentCoding }
    }
}
