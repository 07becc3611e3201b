import Foundation
import GatewayCore
import Support

@testable import GatewayServer

/// Files, variables and flags of the configuration.
///
/// Promises: reading twice gives the same; what is wrong is told in words that a terminal can show; and whatever is accepted can be served
/// with: a session opens and answers.
final class ConfigurationTarget: FuzzTarget {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("parley-fuzz-\(getpid())").path

    init() { need { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) } }

    func run(_ input: FuzzInput) {
        var input = input
        let environment = input.choose(DeploymentEnvironment.allCases)
        let parts = input.parts(separator: 0, most: 4)
        write(parts[0], to: "gateway")
        write(parts.count > 1 ? parts[1] : [], to: environment.rawValue)
        var variables = ["PARLEY_ENVIRONMENT": environment.rawValue]
        for line in lines(parts, 2) {
            let equals = line.firstIndex(of: "=") ?? line.endIndex
            // Files of the machine aren't what is tested.
            if !line[..<equals].hasSuffix("_FILE") { variables["PARLEY_" + line[..<equals]] = String(line[equals...].dropFirst()) }
        }
        let arguments = lines(parts, 3)
        let first = load(arguments, variables)
        let second = load(arguments, variables)
        switch (first, second) {
        case (.success(let left), .success(let right)):
            require(left.configuration == right.configuration && left.origins == right.origins, "reading twice gives the same")
            require(!left.listing.isEmpty, "a configuration can be shown")
            serve(left.configuration)
        case (.failure(let left), .failure(let right)):
            require(left == right && !left.problems.isEmpty, "reading twice finds the same problems")
            require(left.description.utf8.count < 4_000_000, "a report has a bound")
        default: require(false, "reading twice gives the same")
        }
    }

    private func lines(_ parts: [[UInt8]], _ index: Int) -> [String] {
        guard index < parts.count else { return [] }
        return String(decoding: parts[index], as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private func write(_ bytes: [UInt8], to name: String) {
        need { try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/\(name).yaml")) }
    }

    private func load(_ arguments: [String], _ variables: [String: String]) -> Result<LoadedConfiguration, ConfigurationError> {
        do throws(ConfigurationError) {
            return .success(try ConfigurationLoader.load(arguments: arguments, environment: variables, directory: folder))
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
        require(conversation.log().head.hasPrefix("HTTP/1.1 "), "whoever asks is answered")
    }
}
