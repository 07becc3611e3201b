// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support

/// A proxy of Debian in front of two gateways, with its configuration of `deploy/proxies` in which ports, paths and times are replaced.
final class ProxyServer: Sendable {
    enum Kind: String, CaseIterable, Sendable {
        case nginx, haproxy, caddy

        /// Whether the proxy also passes TLS through, with a PROXY header.
        var passesTLS: Bool { self != .caddy }
    }

    /// The ports and files of one test.
    private struct Site {
        let https: Int
        let wss: Int
        let gateways: [(plain: Int, tls: Int)]
        let directory: String
        let certificate: TestCertificatePair
    }

    let process: ChildProcess
    let directory: TemporaryDirectory
    /// The port on which the proxy terminates TLS.
    let https: Int
    /// The port on which the proxy passes TLS through.
    let wss: Int

    /// Starts the proxy and waits until it listens. Its idle time-outs are 2 s instead of 90 s.
    init(_ kind: Kind, in front: [GatewayProcess]) async throws {
        directory = try TemporaryDirectory()
        https = try Self.unusedPort()
        wss = try Self.unusedPort()
        var gateways: [(plain: Int, tls: Int)] = []
        for gateway in front { gateways.append((try await gateway.plainPort(), gateway.port)) }
        let site = Site(
            https: https, wss: wss, gateways: gateways, directory: directory.path, certificate: try await TestCertificatePair.shared.value)
        let command = try Self.configure(kind, site)
        guard FileManager.default.isExecutableFile(atPath: command[0]) else {
            throw TestFailure("there is no \(command[0]): run deploy/test.sh, which installs it")
        }
        process = try ChildProcess(command[0], Array(command.dropFirst()), directory: directory.path, environment: ["HOME": directory.path])
        for port in kind.passesTLS ? [https, wss] : [https] { try await waitUntilListening(port) }
    }

    private func waitUntilListening(_ port: Int) async throws {
        for _ in 0..<200 {
            if let socket = try? await TestSocket.connect(port: port, .none) { return await socket.close() }
            guard process.isRunning else { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw TestFailure("the proxy doesn't listen: \(process.lines.suffix(5)) \(process.errorLines.suffix(5))")
    }

    /// Writes the configuration and returns the command that starts the proxy, as one process: the workers of a killed master would go on.
    private static func configure(_ kind: Kind, _ site: Site) throws -> [String] {
        let path = site.directory
        switch kind {
        case .nginx:
            try write("nginx.conf", site) {
                [
                    ("user www-data;", ""), ("/run/nginx.pid", "\(path)/nginx.pid"), ("/var/log/nginx/error.log", "\(path)/error.log"),
                    (
                        "access_log off;",
                        "access_log off;"
                            + ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(path)/\($0);" }.joined()
                    ),
                    ("listen 443 ssl;", "listen 127.0.0.1:\(site.https) ssl;"), ("listen [::]:443 ssl;", ""),
                    ("listen 8443;", "listen 127.0.0.1:\(site.wss);"), ("listen [::]:8443;", ""),
                    ("/etc/nginx/parley.pem", site.certificate.certificate), ("/etc/nginx/parley.key", site.certificate.key),
                    ("proxy_read_timeout 90s;", "proxy_read_timeout 2s;"), ("proxy_send_timeout 90s;", "proxy_send_timeout 2s;"),
                    ("proxy_timeout 90s;", "proxy_timeout 2s;"),
                ]
            }
            return ["/usr/sbin/nginx", "-c", "\(path)/nginx.conf", "-e", "\(path)/error.log", "-g", "daemon off; master_process off;"]
        case .haproxy:
            let combined = try ["certificate": site.certificate.certificate, "key": site.certificate.key].sorted { $0.key < $1.key }
                .map { try String(contentsOfFile: $0.value, encoding: .utf8) }.joined()
            try combined.write(toFile: "\(path)/parley.pem", atomically: true, encoding: .utf8)
            try write("haproxy.cfg", site) {
                [
                    // Relative to the working directory: the path of a Unix domain socket has at most 107 bytes.
                    ("/run/haproxy/admin.sock mode 660", "unix@admin.sock mode 660"), ("maxconn 20000", "maxconn 100"),
                    ("bind :8443", "bind 127.0.0.1:\(site.wss)"), ("bind :443 ssl", "bind 127.0.0.1:\(site.https) ssl"),
                    ("/etc/haproxy/parley.pem", "\(path)/parley.pem"), ("timeout client 90s", "timeout client 2s"),
                    ("timeout server 90s", "timeout server 2s"), ("timeout tunnel 90s", "timeout tunnel 2s"), ("inter 2s", "inter 200ms"),
                ]
            }
            return ["/usr/sbin/haproxy", "-db", "-f", "\(path)/haproxy.cfg"]
        case .caddy:
            try write("Caddyfile", site) {
                [
                    (
                        "parley.example {",
                        "{\nadmin off\nauto_https disable_redirects\n}\nhttps://localhost:\(site.https) {\nbind 127.0.0.1\n"
                            + "tls \(site.certificate.certificate) \(site.certificate.key)"
                    ), ("health_interval 2s", "health_interval 200ms"),
                ]
            }
            return ["/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", "\(path)/Caddyfile"]
        }
    }

    /// Copies a shipped file with replacements, each of which must be found.
    private static func write(_ file: String, _ site: Site, _ replacements: () -> [(String, String)]) throws {
        var text = try String(contentsOfFile: "\(Repository.path)/deploy/proxies/\(file)", encoding: .utf8)
        // Comments mention the addresses, too.
        text = text.split(separator: "\n", omittingEmptySubsequences: false).filter { !$0.drop { $0 == " " || $0 == "\t" }.hasPrefix("#") }
            .joined(separator: "\n")
        var all = replacements()
        for (index, gateway) in site.gateways.enumerated() {
            all.append(("10.0.0.1\(index + 1):8080", "127.0.0.1:\(gateway.plain)"))
            if file != "Caddyfile" { all.append(("10.0.0.1\(index + 1):8443", "127.0.0.1:\(gateway.tls)")) }
        }
        for (old, new) in all {
            guard text.contains(old) else { throw TestFailure("\(file) doesn't contain \(old)") }
            text = text.replacing(old, with: new)
        }
        try text.write(toFile: "\(site.directory)/\(file)", atomically: true, encoding: .utf8)
    }

    /// Returns a port that no process uses at the moment.
    private static func unusedPort() throws -> Int { try ReservedPort().number }
}
