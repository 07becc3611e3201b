import Foundation
import GatewayServer
import NIOCore
import NIOHTTP1

/// Asks an operations listener.
struct OperationsClient {
    /// Why a request had no success.
    enum Failure: Error, CustomStringConvertible {
        case unreachable(address: String, reason: String)
        /// An answer that isn't a success, with the problem's own words where it has some.
        case refused(status: UInt, detail: String?)
        case nonsense

        var isUnreachable: Bool { if case .unreachable = self { true } else { false } }

        var description: String {
            switch self {
            case .unreachable(let address, let reason): "no gateway answers at \(address): \(reason)"
            case .refused(let status, let detail):
                (detail ?? "the gateway answered with status \(status)")
                    + (status == 401 ? "; the token comes from --token-file, PARLEY_OPERATIONS_TOKEN or PARLEY_OPERATIONS_TOKEN_FILE" : "")
            case .nonsense: "the answer can't be understood: is it a gateway of another version?"
            }
        }
    }

    private struct Problem: Decodable {
        var detail: String
    }

    let endpoint: SocketEndpoint
    let token: String?

    func sessions(state: String, tag: String?, limit: Int, after cursor: String?) async throws -> SessionPage {
        var query = [("state", state), ("limit", "\(limit)")]
        if let tag { query.append(("tag", tag)) }
        if let cursor { query.append(("cursor", cursor)) }
        let text = query.map { "\($0)=\(Self.escaped($1))" }.joined(separator: "&")
        let body = try await get("/v1/sessions?" + text)
        guard let page = try? JSONDecoder().decode(SessionPage.self, from: Data(body)) else { throw Failure.nonsense }
        return page
    }

    func get(_ target: String) async throws -> [UInt8] { try await request(.GET, target) }

    func post(_ target: String) async throws { _ = try await request(.POST, target) }

    func delete(_ target: String) async throws { _ = try await request(.DELETE, target) }

    func patch(_ target: String, _ json: Data) async throws { _ = try await request(.PATCH, target, json: json) }

    private func request(_ method: HTTPMethod, _ target: String, json: Data? = nil) async throws -> [UInt8] {
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: target, headers: ["Host": "\(endpoint)", "Connection": "close"])
        if json != nil { head.headers.add(name: "Content-Type", value: "application/merge-patch+json") }
        if json != nil || method == .POST { head.headers.add(name: "Content-Length", value: "\(json?.count ?? 0)") }
        if let token { head.headers.add(name: "Authorization", value: "Bearer \(token)") }
        let response: OperationsExchange.Response
        do {
            response = try await OperationsExchange.perform(
                head, body: json.map { ByteBuffer(bytes: $0) }, host: endpoint.host, port: endpoint.port)
        } catch {
            throw Failure.unreachable(address: "\(endpoint)", reason: Self.reason(error))
        }
        let bytes = Array(response.body.readableBytesView)
        guard (200..<300).contains(response.status) else {
            let problem = try? JSONDecoder().decode(Problem.self, from: Data(bytes))
            throw Failure.refused(status: response.status, detail: problem?.detail)
        }
        return bytes
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case OperationsExchange.Failure.timedOut: "no answer in time"
        case OperationsExchange.Failure.closed: "it closed the connection without an answer"
        case OperationsExchange.Failure.bodyTooLong:
            "its answer is longer than \(OperationsExchange.maximumBodyBytes / 1_048_576) MiB"
        case is HTTPParserError: "what answers there isn't HTTP"
        default: ClientFailure.text(error)
        }
    }

    /// Percent-encoded for a query (RFC 3986 §2.3).
    private static func escaped(_ text: String) -> String {
        var allowed = CharacterSet.alphanumerics.intersection(CharacterSet(charactersIn: Unicode.Scalar(0)...Unicode.Scalar(127)))
        allowed.insert(charactersIn: "-._~")
        return text.addingPercentEncoding(withAllowedCharacters: allowed) ?? ""
    }
}
