// SPDX-License-Identifier: Apache-2.0

/// The text of a `MOVED` or `ASK` error: a slot and the address of the master that has its keys.
struct Redirection: Sendable, Hashable {
    var slot: Int
    var endpoint: RedisEndpoint

    /// - Parameters:
    ///   - text: such as `3999 127.0.0.1:6381`
    ///   - server: the server that sent the error; its host is meant if the text has none
    /// - Returns: nil if the text is malformed
    init?(_ text: String, from server: RedisEndpoint) {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 2, let slot = Int(words[0]), 0..<KeySlot.count ~= slot, let colon = words[1].lastIndex(of: ":"),
            let port = UInt16(words[1][words[1].index(after: colon)...]), port > 0
        else { return nil }
        var host = words[1][..<colon]
        if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
        // A server that doesn't know its name sends `?`.
        guard host != "?" else { return nil }
        self.slot = slot
        endpoint = RedisEndpoint(host: host.isEmpty ? server.host : String(host), port: Int(port))
    }
}
