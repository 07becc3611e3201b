// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayServer

/// `parley token`: obtains a token from a running gateway.
struct Token: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Mint a token for a user of a running gateway.",
        discussion: """
            The gateway signs the token with the first auth.secret, with auth.minting_key, or with a key that it made at start. The token is \
            printed on standard output. Anyone with the token can connect as the user until it expires.
            """)

    @OptionGroup var gateway: GatewayOptions
    @Option(help: ArgumentHelp("The user, 1 to 128 characters of printable ASCII.", valueName: "name")) var user: String
    @Option(help: ArgumentHelp("Lifetime of the token, 1s to 24h.", valueName: "duration")) var expiresIn = "5m"
    @Option(help: ArgumentHelp("Number of sessions that the token may open, 1 to 100; 0: any number.", valueName: "number")) var uses = 0
    @Option(help: ArgumentHelp("The claim parley as a JSON object, or @ and a file that contains it.", valueName: "json")) var parley:
        String?
    @Flag(help: "Print the whole response as JSON.") var json = false

    private struct Minted: Decodable {
        var token: String
    }

    func run() async throws {
        let body = try body()
        try await gateway.perform { client in
            let response = try await client.post("/v1/tokens", json: body)
            guard let minted = try? JSONDecoder().decode(Minted.self, from: Data(response)) else {
                throw OperationsClient.Failure.undecodable
            }
            print(json ? String(decoding: response, as: UTF8.self) : minted.token)
        }
    }

    /// Returns the body of the request. The claim is inserted as it is: the gateway checks it, and knows more members than this version may.
    private func body() throws -> Data {
        var members = try [("user", user), ("expires_in", expiresIn)].map { name, value in
            "\"\(name)\":\(String(decoding: try JSONEncoder().encode(value), as: UTF8.self))"
        }
        members.append("\"uses\":\(uses)")
        if let parley { members.append("\"parley\":\(try Self.claim(parley))") }
        return Data("{\(members.joined(separator: ","))}".utf8)
    }

    private static func claim(_ text: String) throws -> String {
        var text = text
        if text.hasPrefix("@") {
            let path = String(text.dropFirst())
            do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
                Sessions.printError("\(path): \(FileErrorText.text(error))")
                throw ExitCode(1)
            }
        }
        guard (try? JSONSerialization.jsonObject(with: Data(text.utf8))) is [String: Any] else {
            throw ValidationError("--parley must be a JSON object, or @ and the path of a file that contains one")
        }
        return text
    }
}
