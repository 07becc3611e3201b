// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The OpenAPI 3.1 document of the operations listener, written from ``OpenAPIOperation``.
struct OpenAPIDocument {
    /// The operations of the document.
    let operations: [OpenAPIOperation]

    /// - Parameter routes: the routes of the listener; other operations are left out
    init(of routes: [OperationsRoute]) {
        operations = OpenAPIOperation.all.filter { operation in
            routes.contains { $0.path == operation.path && $0.methods[operation.method] != nil }
        }
    }

    /// Returns the document.
    var json: [UInt8] {
        var paths: [(path: String, operations: [String])] = []
        for operation in operations {
            let member = Self.member(of: operation)
            let path = Self.path(operation.path)
            if let index = paths.firstIndex(where: { $0.path == path }) {
                paths[index].operations.append(member)
            } else {
                paths.append((path, [member]))
            }
        }
        let items = paths.map { path, members in
            let parameters = Self.pathParameters(path)
            let shared = parameters.isEmpty ? "" : "\"parameters\":[\(parameters.map(Self.reference).joined(separator: ","))],"
            return "\"\(path)\":{\(shared)\(members.joined(separator: ","))}"
        }
        let text = """
            {"openapi":"3.1.0","info":{"title":"Parley operations","version":"1",\
            "description":"The operations listener of a Parley gateway. Times are Unix milliseconds; lists are paged by cursor; \
            errors are RFC 9457 problem documents. x-right names the right that a token must have."},\
            "paths":{\(items.joined(separator: ","))},\
            "components":{"securitySchemes":{"token":{"type":"http","scheme":"bearer"}},\
            "parameters":{\(Self.parameters)},"schemas":{\(Self.schemas)}}}
            """
        return Array(text.utf8)
    }

    /// Returns a path with parameters in braces.
    static func path(_ path: String) -> String {
        path.split(separator: "/", omittingEmptySubsequences: false).map { $0.hasPrefix(":") ? "{\($0.dropFirst())}" : String($0) }
            .joined(separator: "/")
    }

    private static func pathParameters(_ path: String) -> [String] { ["id", "name"].filter { path.contains("{\($0)}") } }

    private static func reference(_ parameter: String) -> String { "{\"$ref\":\"#/components/parameters/\(parameter)\"}" }

    private static func member(of operation: OpenAPIOperation) -> String {
        var members = ["\"summary\":\"\(operation.summary)\""]
        let parameters = operation.query + operation.fields
        if !parameters.isEmpty { members.append("\"parameters\":[\(parameters.map(reference).joined(separator: ","))]") }
        switch operation.access {
        case .open: members.append("\"security\":[]")
        case .right(let right): members.append("\"security\":[{\"token\":[]}],\"x-right\":\"\(right.rawValue)\"")
        }
        if case .none = operation.body {} else { members.append("\"requestBody\":{\"content\":{\(content(operation.body))}}") }
        let contents = operation.contents.map(content).joined(separator: ",")
        let success = "\"\(operation.status)\":{\"description\":\"success\"\(contents.isEmpty ? "" : ",\"content\":{\(contents)}")}"
        // Health reports a gateway that isn't ready with a document of its own.
        let unready =
            operation.access == .open && contents.contains("Health")
            ? ",\"503\":{\"description\":\"not ready\",\"content\":{\(contents)}}" : ""
        let problem =
            "\"default\":{\"description\":\"rejected\",\"content\":{\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}}}}"
        members.append("\"responses\":{\(success)\(unready),\(problem)}")
        return "\"\(operation.method.rawValue.lowercased())\":{\(members.joined(separator: ","))}"
    }

    private static func content(_ content: OpenAPIOperation.Content) -> String {
        switch content {
        case .json(let schema): "\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/\(schema)\"}}"
        case .events: "\"text/event-stream\":{\"schema\":{\"type\":\"string\"}}"
        case .text(let type): "\"\(type)\":{\"schema\":{\"type\":\"string\"}}"
        case .none: ""
        }
    }
}

/// The route of the OpenAPI document.
struct OpenAPIRoutes: OperationsRouteGroup {
    private let document: ByteBuffer

    /// - Parameter routes: the other routes of the listener
    init(describing routes: [OperationsRoute]) {
        document = ByteBuffer(bytes: OpenAPIDocument(of: routes + Self.own).json)
    }

    private static let own = [OperationsRoute("/v1/openapi.json", [.get: .read])]

    var routes: [OperationsRoute] { Self.own }

    func add(to router: Router<OperationsRequestContext>) {
        router.get("/v1/openapi.json") { [document] _, _ in
            Response(status: .ok, headers: [.contentType: "application/json"], body: ResponseBody(byteBuffer: document))
        }
    }
}
