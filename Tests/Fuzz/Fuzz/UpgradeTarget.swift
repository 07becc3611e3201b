// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOHTTP1
import Support

@testable import GatewayServer
@testable import GatewayWebSocket

/// Upgrade requests: as raw bytes for the head gate and the HTTP parser, or as lines from which a parsed head is built.
///
/// Invariants: The response doesn't depend on how the bytes are split, and contains no bytes of the request.
final class UpgradeTarget: FuzzTarget {
    /// A string that no response of the gateway contains.
    private static let marker = "zqxj"

    func run(_ input: FuzzInput) {
        var input = input
        let flags = input.byte()
        if flags & 1 == 1 { return parse(input.string) }
        let split = input.split()
        let bytes = input.bytes
        let whole = response(to: [bytes], flags: flags)
        let inPieces = response(to: split.pieces(of: bytes), flags: flags)
        require(whole == inPieces, "the response doesn't depend on the split: \(whole) \(inPieces)")
        require(!whole.head.contains(Self.marker) && !whole.body.contains(Self.marker), "the request isn't echoed")
    }

    private func response(to pieces: [[UInt8]], flags: UInt8) -> ConversationLog {
        let conversation = Conversation { configuration in
            configuration.http.queryTokens = flags & 2 == 2
            configuration.conformance.echo = flags & 4 == 4
            if flags & 8 == 8 { configuration.http.allowedOrigins = ["https://a.example"] }
            if flags & 16 == 16 {
                configuration.http.maxHeaderBytes = 300
                configuration.http.maxHeaders = 8
            }
            if flags & 32 == 32 { configuration.sessions.max = 1 }
            configuration.websocket.compression = flags & 64 == 64 ? .dedicated : .shared
        }
        for piece in pieces { conversation.send(piece) }
        return conversation.log()
    }

    /// Checks a request whose target is the first line and whose header fields are the others.
    private func parse(_ text: String) {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let target = String(lines.removeFirst())
        var headers: HTTPHeaders = [
            "Host": "a", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        ]
        for line in lines {
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            let name = String(line[..<colon])
            let value = String(line[colon...].dropFirst())
            // Parsers reject other names, and `HTTPHeaders` can't contain them.
            guard !name.isEmpty, name.utf8.allSatisfy(HeaderGrammar.isTokenCharacter) else { continue }
            // Required fields are replaced: a duplicate would be rejected before anything else is checked.
            if headers.contains(name: name), !name.hasPrefix("Sec-WebSocket-E") {
                headers.replaceOrAdd(name: name, value: value)
            } else {
                headers.add(name: name, value: value)
            }
        }
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: target, headers: headers)
        do throws(UpgradeFailure) {
            let request = try UpgradeRequest(head)
            for mode in CompressionMode.allCases {
                let agreement = request.compression(mode)
                require(agreement.map { (9...15).contains($0.windowBits(.server)) } ?? true, "zlib supports the window size")
                let response = request.responseHeaders(compression: agreement)
                for (_, value) in response {
                    require(value.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "a response header is printable ASCII")
                }
            }
            require(request.bearer.map { !$0.isEmpty } ?? true, "a token isn't empty")
            require(try UpgradeRequest(head) == request, "parsing twice gives the same result")
        } catch {
            require((400..<500).contains(error.status), "a rejection has a 4xx status")
        }
    }
}
