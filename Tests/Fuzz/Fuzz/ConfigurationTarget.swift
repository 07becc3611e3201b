// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Support

@testable import GatewayServer

/// The configuration's files, environment variables and flags.
///
/// Invariants: Loading twice gives the same result. Problem reports are bounded. A gateway with an accepted configuration responds to a
/// client.
final class ConfigurationTarget: FuzzTarget {
    private let directory = FileManager.default.temporaryDirectory.appendingPathComponent("parley-fuzz-\(getpid())").path

    init() { must { try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true) } }

    func run(_ input: FuzzInput) {
        var input = input
        let environment = input.choose(DeploymentEnvironment.allCases)
        let parts = input.parts(separator: 0, maxCount: 4)
        write(parts[0], to: "gateway")
        write(parts.count > 1 ? parts[1] : [], to: environment.rawValue)
        var variables = ["PARLEY_ENVIRONMENT": environment.rawValue]
        for line in lines(parts, 2) {
            let equals = line.firstIndex(of: "=") ?? line.endIndex
            // Variables with the path of a file would make the loader read arbitrary files of the machine.
            if !line[..<equals].hasSuffix("_FILE") { variables["PARLEY_" + line[..<equals]] = String(line[equals...].dropFirst()) }
        }
        let arguments = lines(parts, 3)
        let first = load(arguments, variables)
        let second = load(arguments, variables)
        switch (first, second) {
        case (.success(let left), .success(let right)):
            require(left.configuration == right.configuration && left.origins == right.origins, "loading twice gives the same result")
            require(!left.listing.isEmpty, "the configuration's listing isn't empty")
            serve(left.configuration)
        case (.failure(let left), .failure(let right)):
            require(left == right && !left.problems.isEmpty, "loading twice finds the same problems")
            require(left.description.utf8.count < 4_000_000, "the report of the problems is bounded")
        default: require(false, "loading twice gives the same result")
        }
    }

    private func lines(_ parts: [[UInt8]], _ index: Int) -> [String] {
        guard index < parts.count else { return [] }
        return String(decoding: parts[index], as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private func write(_ bytes: [UInt8], to name: String) {
        must { try Data(bytes).write(to: URL(fileURLWithPath: "\(directory)/\(name).yaml")) }
    }

    private func load(_ arguments: [String], _ variables: [String: String]) -> Result<LoadedConfiguration, ConfigurationError> {
        do throws(ConfigurationError) {
            return .success(try ConfigurationLoader.load(arguments: arguments, environment: variables, directory: directory))
        } catch {
            return .failure(error)
        }
    }

    private func serve(_ configuration: GatewayConfiguration) {
        let conversation = Conversation { $0 = configuration }
        conversation.send(Array(EmbeddedConnection.request(path: "/v1/ws").utf8))
        let ping = Array("{\"type\":\"ping\"}".utf8)
        conversation.send([0x81, 0x80 | UInt8(ping.count), 0, 0, 0, 0] + ping)
        conversation.advance(by: .milliseconds(200))
        require(conversation.log().head.hasPrefix("HTTP/1.1 "), "an upgrade request gets a response")
    }
}
