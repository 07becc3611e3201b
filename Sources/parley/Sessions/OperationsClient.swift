// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayServer
import GatewayTLS
import NIOCore
import NIOHTTP1

/// A client of an operations listener.
struct OperationsClient {
    /// The reason why a request failed.
    enum Failure: Error, CustomStringConvertible {
        case unreachable(address: String, reason: String)
        /// A response whose status isn't 2xx, with the `detail` of its problem document if it has one.
        case rejected(status: UInt, detail: String?)
        case undecodable

        var isUnreachable: Bool { if case .unreachable = self { true } else { false } }

        var description: String {
            switch self {
            case .unreachable(let address, let reason): "no response from the gateway at \(address): \(reason)"
            case .rejected(let status, let detail):
                (detail ?? "the gateway returned status \(status)")
                    + (status == 401 ? "; pass the token with --token-file, PARLEY_OPERATIONS_TOKEN or PARLEY_OPERATIONS_TOKEN_FILE" : "")
            case .undecodable: "the response can't be decoded; the gateway may run another version"
            }
        }
    }

    private struct Problem: Decodable {
        var detail: String
    }

    let endpoint: SocketEndpoint
    let token: String?
    /// Nil for plain HTTP.
    let tls: TLSClientContext?

    /// Well above the size of the largest report, a few megabytes.
    private static let maximumBodyBytes = 256 << 20
    private static let timeout = Duration.seconds(30)

    func sessions(state: String, tag: String?, node: String?, limit: Int, after cursor: String?) async throws -> SessionPage {
        let body = try await get(
            Self.target(
                "/v1/sessions", [("state", state), ("limit", "\(limit)"), ("tag", tag), ("node", node), ("cursor", cursor)]))
        guard let page = try? JSONDecoder().decode(SessionPage.self, from: Data(body)) else { throw Failure.undecodable }
        return page
    }

    /// Returns the number of nodes; 1 for a gateway of another version, which has no such list.
    func nodeCount() async throws -> Int {
        do {
            let body = try await get("/v1/nodes")
            return (try? JSONDecoder().decode(NodeList.self, from: Data(body)))?.nodes.count ?? 1
        } catch Failure.rejected(404, _) {
            return 1
        }
    }

    func get(_ target: String, accept: String? = nil) async throws -> [UInt8] { try await request(.GET, target, accept: accept) }

    func post(_ target: String) async throws { _ = try await request(.POST, target) }

    /// Posts a JSON document and returns the body of the response.
    ///
    /// - Parameter fields: further header fields
    func post(_ target: String, json: Data, fields: [(String, String)] = []) async throws -> [UInt8] {
        try await request(.POST, target, json: json, contentType: "application/json", fields: fields)
    }

    func delete(_ target: String) async throws { _ = try await request(.DELETE, target) }

    func patch(_ target: String, _ json: Data) async throws {
        _ = try await request(.PATCH, target, json: json, contentType: "application/merge-patch+json")
    }

    private func request(
        _ method: HTTPMethod, _ target: String, json: Data? = nil, contentType: String = "", accept: String? = nil,
        fields: [(String, String)] = []
    ) async throws -> [UInt8] {
        var head = head(method, target)
        if json != nil { head.headers.add(name: "Content-Type", value: contentType) }
        if json != nil || method == .POST { head.headers.add(name: "Content-Length", value: "\(json?.count ?? 0)") }
        for (name, value) in fields { head.headers.add(name: name, value: value) }
        if let accept { head.headers.add(name: "Accept", value: accept) }
        let fetch = HTTPFetch(
            host: endpoint.host, port: endpoint.port, tls: tls, timeout: Self.timeout, maximumBodyBytes: Self.maximumBodyBytes)
        let response: HTTPFetch.Response
        do throws(HTTPFetchError) {
            response = try await fetch.perform(head, body: json.map { ByteBuffer(bytes: $0) })
        } catch {
            throw Failure.unreachable(address: "\(endpoint)", reason: Self.reason(error))
        }
        let bytes = Array(response.body.readableBytesView)
        guard (200..<300).contains(response.status) else { throw Self.rejection(response.status, bytes) }
        return bytes
    }

    private func head(_ method: HTTPMethod, _ target: String) -> HTTPRequestHead {
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: target, headers: ["Host": "\(endpoint)", "Connection": "close"])
        if let token { head.headers.add(name: "Authorization", value: "Bearer \(token)") }
        return head
    }

    private static func rejection(_ status: UInt, _ body: [UInt8]) -> Failure {
        .rejected(status: status, detail: (try? JSONDecoder().decode(Problem.self, from: Data(body)))?.detail)
    }

    /// Receives a stream of events until it ends, `receive` returns false, or the task is cancelled.
    ///
    /// - Parameter receive: called with each event
    func events(_ target: String, _ receive: (EventStreamParser.Event) async throws -> Bool) async throws {
        let stream = HTTPEventStream(host: endpoint.host, port: endpoint.port, tls: tls)
        do {
            try await stream.perform(head(.GET, target), receive)
        } catch let error as HTTPFetchError {
            throw Failure.unreachable(address: "\(endpoint)", reason: Self.reason(error))
        } catch let error as HTTPEventStream.Rejection {
            throw Self.rejection(error.status, error.body)
        }
    }

    static func reason(_ error: HTTPFetchError) -> String {
        switch error {
        case .cannotConnect(let reason): reason
        case .timedOut: "timed out"
        default: "\(error)"
        }
    }

    /// Returns a request target with the parameters that have a value.
    static func target(_ path: String, _ query: [(name: String, value: String?)]) -> String {
        let text = query.compactMap { name, value in value.map { "\(name)=\(escaped($0))" } }.joined(separator: "&")
        return path + (text.isEmpty ? "" : "?" + text)
    }

    /// Percent-encodes a query value (RFC 3986 §2.3).
    static func escaped(_ text: String) -> String {
        var allowed = CharacterSet.alphanumerics.intersection(CharacterSet(charactersIn: Unicode.Scalar(0)...Unicode.Scalar(127)))
        allowed.insert(charactersIn: "-._~")
        return text.addingPercentEncoding(withAllowedCharacters: allowed) ?? ""
    }
}
