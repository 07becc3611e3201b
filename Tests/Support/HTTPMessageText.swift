// SPDX-License-Identifier: Apache-2.0

/// An HTTP/1.1 request built by hand, valid or not.
package struct HTTPRequestText: Sendable {
    package var method = "GET"
    package var target: String
    package var version = "HTTP/1.1"
    package var fields: [(name: String, value: String)]
    package var body = ""

    package init(_ target: String, method: String = "GET", fields: [(name: String, value: String)] = [("Host", "localhost")]) {
        self.target = target
        self.method = method
        self.fields = fields
    }

    /// The sample `Sec-WebSocket-Key` of RFC 6455 §1.3 and its `Sec-WebSocket-Accept`.
    package static let sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="
    package static let sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    /// Returns a valid upgrade request.
    package static func upgrade(_ target: String = "/v1/ws", adding fields: [(String, String)] = []) -> HTTPRequestText {
        var request = HTTPRequestText(
            target,
            fields: [
                ("Host", "localhost"), ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Key", sampleKey),
                ("Sec-WebSocket-Version", "13"),
            ])
        for (name, value) in fields { request.fields.append((name, value)) }
        return request
    }

    /// The value of the first field with this name; nil if there is none. Setting nil removes the field.
    package subscript(_ name: String) -> String? {
        get { fields.first { $0.name == name }?.value }
        set {
            let index = fields.firstIndex { $0.name == name }
            switch (index, newValue) {
            case (let index?, let value?): fields[index].value = value
            case (let index?, nil): fields.remove(at: index)
            case (nil, let value?): fields.append((name, value))
            case (nil, nil): break
            }
        }
    }

    package var bytes: [UInt8] {
        var text = "\(method) \(target) \(version)\r\n"
        for field in fields { text += "\(field.name): \(field.value)\r\n" }
        return Array((text + "\r\n" + body).utf8)
    }
}

/// A complete HTTP response.
package struct HTTPResponseText: Sendable {
    package var status: Int
    /// The names are in lower case.
    package var fields: [(name: String, value: String)]
    package var body = ""

    package subscript(_ name: String) -> String? { fields.first { $0.name == name.lowercased() }?.value }

    package func json() throws -> JSON { try JSON(body) }
}

extension TestSocket {
    /// Receives the next response. A `101`, a `204` and a response to HEAD have no body.
    package func receiveResponse(toHead: Bool = false) async throws -> HTTPResponseText {
        var response = try await receive { incoming -> HTTPResponseText? in
            guard let end = incoming.rest.headEnd else { return nil }
            let head = incoming.consume(end - incoming.rest.startIndex)
            return try Self.parse(String(decoding: head, as: UTF8.self))
        }
        guard response.status != 101, response.status != 204, !toHead else { return response }
        let body =
            if let count = response["content-length"].flatMap({ Int($0) }) {
                try await receive(count: count)
            } else {
                try await receiveToEnd()
            }
        response.body = String(decoding: body, as: UTF8.self)
        return response
    }

    private static func parse(_ head: String) throws -> HTTPResponseText {
        let lines = head.split(separator: "\r\n")
        let parts = lines.first?.split(separator: " ", maxSplits: 2) ?? []
        guard parts.count >= 2, parts[0] == "HTTP/1.1", let status = Int(parts[1]) else {
            throw TestFailure("not an HTTP response: \(head)")
        }
        let fields = lines.dropFirst().map { line in
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            return (name: line[..<colon].lowercased(), value: String(line[colon...].dropFirst().drop { $0 == " " }))
        }
        return HTTPResponseText(status: status, fields: fields)
    }
}

extension ArraySlice<UInt8> {
    /// The index after the first CR LF CR LF.
    fileprivate var headEnd: Int? {
        guard count >= 4 else { return nil }
        for index in startIndex...(endIndex - 4) where self[index..<index + 4].elementsEqual([0x0D, 0x0A, 0x0D, 0x0A]) { return index + 4 }
        return nil
    }
}
