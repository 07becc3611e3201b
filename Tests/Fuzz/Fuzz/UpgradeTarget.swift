import GatewayCore
import NIOHTTP1
import Support

@testable import GatewayServer
@testable import GatewayWebSocket

/// The request before the WebSocket: as bytes through the gate and the parser, or as lines put into a head that parsers would let pass.
///
/// Promises: one answer whatever the pieces, and no byte of the client's in it.
final class UpgradeTarget: FuzzTarget {
    /// A word that no answer of ours has in it.
    private static let mark = "zqxj"

    func run(_ input: FuzzInput) {
        var input = input
        let flags = input.byte()
        if flags & 1 == 1 { return parse(input.string) }
        let split = input.split()
        let bytes = input.bytes
        let whole = answer(to: [bytes], flags: flags)
        let cut = answer(to: split.pieces(of: bytes), flags: flags)
        require(whole == cut, "one answer whatever the pieces: \(whole) \(cut)")
        require(!whole.head.contains(Self.mark) && !whole.body.contains(Self.mark), "nothing of the client's is echoed")
    }

    private func answer(to pieces: [[UInt8]], flags: UInt8) -> ConversationLog {
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

    /// The first line is the target, the others are fields.
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
            // No parser lets other names pass, and none can be put into a head.
            guard !name.isEmpty, name.utf8.allSatisfy(HeaderGrammar.isTokenCharacter) else { continue }
            // Those that are needed once are replaced: two of them would hide all else.
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
                require(agreement.map { (9...15).contains($0.windowBits(.server)) } ?? true, "zlib can make our window")
                let answer = request.responseHeaders(compression: agreement)
                for (_, value) in answer {
                    require(value.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "a header of ours is printable ASCII")
                }
            }
            require(request.bearer.map { !$0.isEmpty } ?? true, "a token isn't empty")
            require(try UpgradeRequest(head) == request, "one verdict")
        } catch {
            require((400..<500).contains(error.status), "a refusal is the client's fault")
        }
    }
}
