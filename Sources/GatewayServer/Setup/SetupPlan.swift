// SPDX-License-Identifier: Apache-2.0

/// The files of a new gateway for production, and the commands that start it.
package struct SetupPlan: Sendable {
    /// One file of the set.
    package struct File: Sendable, Equatable {
        package enum Content: Sendable, Equatable {
            case text(String)
            /// 32 random bytes in base64url, 43 characters.
            case secret
            /// A self-signed certificate and, in the file of the second path, its key.
            case certificate(names: [String], keyFile: String)
        }

        /// The path relative to the directory.
        package var path: String
        package var content: Content
        /// The permissions, before the process's umask.
        package var mode: UInt32 = 0o644
    }

    /// The permissions of files with secrets.
    static let secretMode: UInt32 = 0o600
    /// The validity of a self-signed certificate, in days.
    static let certificateDays: Int64 = 365
    /// A line in each file with text, by which a later run recognizes it.
    static let mark = "# Written by parley init"

    package let options: SetupOptions
    package let files: [File]

    package init(_ options: SetupOptions) {
        self.options = options
        var files = [
            File(path: "config/gateway.yaml", content: .text(SetupText.gateway(options))),
            File(path: "config/production.yaml", content: .text(SetupText.production(options))),
            File(path: "parley.env", content: .text(SetupText.variables(options))),
            File(path: "secrets/auth-secret", content: .secret, mode: Self.secretMode),
            File(path: "secrets/operations-token", content: .secret, mode: Self.secretMode),
        ]
        if options.certificate == .selfSigned {
            files.append(
                File(path: "tls/cert.pem", content: .certificate(names: options.certificateNames, keyFile: "tls/key.pem")))
        }
        switch options.supervisor {
        case .systemd(let executable, let user, let group):
            let service = ServiceUnit.service(in: options.directory, executable: executable, user: user, group: group)
            files.append(File(path: "systemd/parley.service", content: .text(service)))
            files.append(File(path: "systemd/parley.socket", content: .text(ServiceUnit.socket)))
        case .compose(let version, let user, let group):
            files.append(
                File(path: "compose.yaml", content: .text(SetupText.compose(options, version: version, user: user, group: group))))
        case nil: break
        }
        self.files = files
    }

    /// The directories of the set, relative, with their permissions. `var` is for the store.
    static func directories(of files: [File]) -> [(path: String, mode: UInt32)] {
        let parents = Set(files.compactMap { $0.path.split(separator: "/").dropLast().first.map(String.init) }).union(["var"])
        return parents.sorted().map { ($0, $0 == "secrets" || $0 == "var" ? 0o700 : 0o755) }
    }

    /// The commands to type next: they start the gateway, mint a token, and connect with it.
    package var nextCommands: [String] {
        let directory = options.directory
        let name = options.names[0]
        let host = name.contains(":") ? "[\(name)]" : name
        let trust = options.certificate == .selfSigned ? " --ca \(directory)/tls/cert.pem" : ""
        let talk = "parley talk wss://\(host):8443\(trust) --token-file me.token --text hello"
        // The variables apply to one command only, so that other commands in the same shell still use the development environment.
        func with(_ command: String) -> String { "(set -a; . \(directory)/parley.env; exec \(command))" }
        switch options.supervisor {
        case nil: return [with("parley serve"), "\(with("parley token --user me")) > me.token", talk]
        case .systemd:
            let units = "\(directory)/systemd/parley.socket \(directory)/systemd/parley.service"
            return ["systemctl enable --now \(units)", "\(with("parley token --user me")) > me.token", talk]
        case .compose:
            let compose = "docker compose --file \(directory)/compose.yaml"
            return ["\(compose) up --detach --wait", "\(compose) exec -T parley parley token --user me > me.token", talk]
        }
    }

    /// The command that checks the set.
    package var checkCommand: String { "(set -a; . \(options.directory)/parley.env; exec parley config check)" }

    /// The text for `--print`: each file with its permissions and its content, without secrets.
    package var preview: String {
        files.map { file in
            let head = "\(options.directory)/\(file.path) (mode \(Self.octal(file.mode)))"
            switch file.content {
            case .text(let text): return "\(head):\n\n\(text)"
            case .secret: return "\(head): 32 random bytes in base64url\n"
            case .certificate(let names, let keyFile):
                return """
                    \(head): a self-signed certificate for \(names.joined(separator: ", ")), valid for \(Self.certificateDays) days
                    \(options.directory)/\(keyFile) (mode \(Self.octal(Self.secretMode))): its key, P-256

                    """
            }
        }
        .joined(separator: "\n")
    }

    private static func octal(_ mode: UInt32) -> String { "0" + String(mode, radix: 8) }
}

extension SetupOptions {
    /// The names of the self-signed certificate: those of the gateway and of the loopback.
    var certificateNames: [String] {
        let local = ["localhost", "127.0.0.1", "::1"]
        let others = names.filter { !local.contains($0) }
        // The first one is the common name, which has at most 64 bytes.
        return (others.first?.utf8.count ?? 65) <= 64 ? others + local : local + others
    }

    /// The paths of the certificate and its key, as in `tls.certificates`.
    var certificateFiles: CertificateFiles {
        switch certificate {
        case .selfSigned: CertificateFiles(certificate: "\(directory)/tls/cert.pem", key: "\(directory)/tls/key.pem")
        case .acme:
            CertificateFiles(
                certificate: "/etc/letsencrypt/live/\(names[0])/fullchain.pem", key: "/etc/letsencrypt/live/\(names[0])/privkey.pem")
        }
    }
}
