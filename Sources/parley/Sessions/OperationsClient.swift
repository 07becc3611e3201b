import AsyncHTTPClient
import Foundation
import GatewayServer
import NIOCore
import NIOHTTP1
import NIOPosix

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

    /// The largest report is some megabytes.
    private static let longestAnswer = 256 << 20
    private static let timeout = TimeAmount.seconds(30)

    let address: String
    let token: String?
    private let http: HTTPClient

    init(address: String, token: String?) {
        self.address = address
        self.token = token
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        // A gateway that isn't there is told at once.
        configuration.connectionPool.retryConnectionEstablishment = false
        http = HTTPClient(eventLoopGroup: .singletonMultiThreadedEventLoopGroup, configuration: configuration)
    }

    func shutdown() async { try? await http.shutdown() }

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
        var request = HTTPClientRequest(url: "http://\(address)\(target)")
        request.method = method
        if let json {
            request.headers.add(name: "Content-Type", value: "application/merge-patch+json")
            request.body = .bytes(ByteBuffer(bytes: json))
        }
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        let response: HTTPClientResponse
        let body: ByteBuffer
        do {
            response = try await http.execute(request, timeout: Self.timeout)
            body = try await response.body.collect(upTo: Self.longestAnswer)
        } catch {
            throw Failure.unreachable(address: address, reason: Self.reason(error))
        }
        let bytes = Array(body.readableBytesView)
        guard (200..<300).contains(response.status.code) else {
            let problem = try? JSONDecoder().decode(Problem.self, from: Data(bytes))
            throw Failure.refused(status: response.status.code, detail: problem?.detail)
        }
        return bytes
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as HTTPClientError:
            switch error {
            case .connectTimeout, .readTimeout, .writeTimeout, .deadlineExceeded, .getConnectionFromPoolTimeout: "no answer in time"
            case .remoteConnectionClosed: "it closed the connection without an answer"
            default: error.shortDescription
            }
        case is HTTPParserError: "what answers there isn't HTTP"
        case is NIOTooManyBytesError: "its answer is longer than \(longestAnswer / 1_048_576) MiB"
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
