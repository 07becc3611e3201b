// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayServer

/// `parley init`: writes the files of a new gateway for production.
struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a working set of files for production: configuration, secrets and a certificate.",
        discussion: """
            Writes config/gateway.yaml, config/production.yaml, parley.env, secrets/ and tls/ into the directory, prints the commands to type \
            next, and never replaces a file unless told to. Secrets and keys get mode 0600.

            Exit codes:
              0  written
              1  a file exists or can't be written; nothing was written in the first case
              64  wrong usage
            """)

    @Argument(help: "The directory, which is created if it is missing.") var directory = "."

    @Option(
        help: ArgumentHelp(
            "Name or address that clients connect to; may be repeated. (default: this machine's name and localhost)", valueName: "host"))
    var name: [String] = []

    @Flag(help: "Use the certificate that certbot maintains for --name, instead of a self-signed one.") var acme = false

    @Option(help: ArgumentHelp("URL of the upstream; without it the built-in loopback returns all requests.", valueName: "url"))
    var upstream: String?

    @Option(
        help: ArgumentHelp(
            "Protocol of the upstream: openai or http, websocket or vosk. (default: openai, with ws:// and wss:// websocket)",
            valueName: "kind"))
    var upstreamKind: UpstreamKind?

    @Option(help: ArgumentHelp("Name of the model, for openai.", valueName: "name")) var upstreamModel: String?

    @Option(help: ArgumentHelp("Origin of web pages that may connect, such as https://app.example; may be repeated.", valueName: "origin"))
    var origin: [String] = []

    @Flag(help: "Also write units for systemd.") var systemd = false
    @Flag(help: "Also write a compose file.") var compose = false

    @Flag(help: "Replace files that an earlier parley init wrote. Secrets, certificates and other files are kept.") var force = false
    @Flag(name: .customLong("print"), help: "Print what would be written, and write nothing.") var isPreview = false

    /// The user of the container when root writes the files, as in the image.
    private static let containerUser: UInt32 = 65532

    func validate() throws {
        if systemd, compose { throw ValidationError("--systemd and --compose can't be combined; use a directory for each") }
        if acme, name.isEmpty { throw ValidationError("--acme requires --name") }
        if upstream == nil, upstreamKind != nil || upstreamModel != nil {
            throw ValidationError("--upstream-kind and --upstream-model require --upstream")
        }
    }

    func run() throws {
        let plan: SetupPlan
        do throws(SetupFault) { plan = SetupPlan(try options()) } catch { throw ValidationError("\(error)") }
        guard !isPreview else { return print(plan.preview, terminator: "") }
        let serviceUser = systemd && geteuid() == 0 ? getpwnam(Self.serviceUser) : nil
        var owner: (user: UInt32, group: UInt32)?
        if geteuid() == 0, compose { owner = (Self.containerUser, Self.containerUser) }
        if let user = serviceUser?.pointee { owner = (user.pw_uid, user.pw_gid) }
        do throws(SetupFault) {
            let outcomes = try plan.write(force: force, owner: owner, now: Int64(time(nil)))
            print(Self.summary(plan, outcomes, needsUser: systemd && geteuid() == 0 && serviceUser == nil))
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            throw ExitCode(1)
        }
    }

    private func options() throws(SetupFault) -> SetupOptions {
        // The examples use localhost, because the machine's own name may not be known to its resolver.
        let names = name.isEmpty ? ["localhost"] + [Self.machineName].filter(SetupOptions.isHost) : name
        var options = try SetupOptions(directory: Self.absolute(directory), names: names, origins: origin)
        if acme { options.certificate = .acme }
        if let upstream { options.upstream = try SetupUpstream(url: upstream, kind: upstreamKind, model: upstreamModel) }
        if systemd {
            let executable = Self.executable
            guard SetupOptions.isPlain(path: executable) else { throw .directory(executable) }
            options.supervisor = .systemd(executable: executable, user: Self.userName, group: Self.groupName)
        }
        if compose {
            let isRoot = geteuid() == 0
            options.supervisor = .compose(
                version: Version.number, user: isRoot ? Self.containerUser : geteuid(), group: isRoot ? Self.containerUser : getegid())
        }
        return options
    }

    private static func summary(
        _ plan: SetupPlan, _ outcomes: [(path: String, outcome: SetupPlan.Outcome)], needsUser: Bool
    ) -> String {
        var lines = ["\(plan.options.directory):"]
        lines += outcomes.map { "  \($0.outcome.rawValue.padding(toLength: 9, withPad: " ", startingAt: 0))\($0.path)" }
        if needsUser {
            lines += [
                "", "Create the service's user and give it the files:",
                "  useradd --system --user-group --no-create-home --shell /usr/sbin/nologin \(serviceUser)",
                "  chown --recursive \(serviceUser): \(plan.options.directory)",
            ]
        }
        lines += ["", "Check:", "  \(plan.checkCommand)", "", "Next:"]
        lines += plan.nextCommands.map { "  " + $0 }
        return lines.joined(separator: "\n")
    }

    // MARK: Paths and names

    /// Returns the absolute path without `.`, `..` and a trailing slash. Links stay as they are.
    private static func absolute(_ path: String) -> String {
        let full = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
        let standardized = (full as NSString).standardizingPath
        return standardized.count > 1 && standardized.hasSuffix("/") ? String(standardized.dropLast()) : standardized
    }

    /// The path of this executable; the one that `deploy/install-service.sh` installs if `/proc` can't be read.
    private static var executable: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/usr/local/bin/parley"
    }

    /// The machine's name, without a query to its resolver.
    private static var machineName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static let serviceUser = "parley"

    /// The user of the service: the one that the units of `deploy/systemd` have, unless another user than root writes the files.
    private static var userName: String {
        guard geteuid() != 0, let user = getpwuid(geteuid()) else { return serviceUser }
        return String(cString: user.pointee.pw_name)
    }

    private static var groupName: String {
        guard geteuid() != 0, let group = getgrgid(getegid()) else { return serviceUser }
        return String(cString: group.pointee.gr_name)
    }
}

extension UpstreamKind: ExpressibleByArgument {}
