// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The choices from which ``SetupPlan`` makes a working set of files.
package struct SetupOptions: Sendable {
    package enum Certificate: Sendable, Equatable {
        /// A certificate signed by its own key.
        case selfSigned
        /// The files that certbot maintains below `/etc/letsencrypt/live`.
        case acme
    }

    /// The manager of the service that a file is written for.
    package enum Supervisor: Sendable, Equatable {
        /// `executable` is an absolute path; the service runs as `user` and `group`.
        case systemd(executable: String, user: String, group: String)
        /// The image has the tag `version`; the container runs as the numeric `user` and `group`.
        case compose(version: String, user: UInt32, group: UInt32)
    }

    /// The absolute path of the directory, without a trailing slash.
    package let directory: String
    /// Host names and addresses that clients connect to; the first is used in examples.
    package let names: [String]
    package var certificate = Certificate.selfSigned
    package var upstream: SetupUpstream?
    /// Origins of web pages that may connect.
    package let origins: [String]
    package var supervisor: Supervisor?

    /// - Parameters:
    ///   - directory: an absolute path
    ///   - names: at least one host name or IP address
    package init(directory: String, names: [String], origins: [String] = []) throws(SetupFault) {
        guard Self.isPlain(path: directory) else { throw .directory(directory) }
        for name in names where !Self.isHost(name) { throw .name(name) }
        var read: [String] = []
        for origin in origins {
            guard let origin = ConfigurationKey.origin(origin), origin != "*" else { throw .origin(origin) }
            read.append(origin)
        }
        self.directory = directory
        self.names = names.isEmpty ? ["localhost"] : names
        self.origins = read
    }

    /// Whether an absolute path needs no quotes in YAML, in a shell, in a unit and in a compose file: letters, digits and `. _ - + @ / ~`.
    /// At most 1024 bytes.
    package static func isPlain(path: String) -> Bool {
        path.hasPrefix("/") && path.utf8.count <= 1024 && path.utf8.allSatisfy { isAlphanumeric($0) || Set("._-+@/~".utf8).contains($0) }
    }

    /// Whether a name is an IP address, or a host name of at most 253 bytes with labels of 1 to 63 letters, digits and hyphens (RFC 1123 §2.1).
    package static func isHost(_ name: String) -> Bool {
        guard NetworkAddress(name) == nil else { return true }
        let labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return name.utf8.count <= 253
            && labels.allSatisfy { label in
                (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
                    && label.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
            }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: false
        }
    }
}

/// The upstream that all requests of a new gateway go to.
package struct SetupUpstream: Sendable, Equatable {
    package let url: UpstreamURL
    package let kind: UpstreamKind
    /// The model, for `openai`; empty: none.
    package let model: String

    /// - Parameters:
    ///   - url: an `http`, `https`, `ws` or `wss` URL without credentials
    ///   - kind: nil: `openai` for an HTTP URL, `websocket` for a WebSocket URL
    package init(url text: String, kind: UpstreamKind? = nil, model: String? = nil) throws(SetupFault) {
        guard let url = UpstreamURL(text) else { throw .upstream }
        let kinds: [UpstreamKind] = url.isWebSocket ? [.websocket, .vosk] : [.openai, .http]
        let kind = kind ?? kinds[0]
        guard kinds.contains(kind) else { throw .upstreamKind(url.scheme, kinds.map(\.rawValue)) }
        guard model == nil || kind == .openai else { throw .modelWithoutOpenAI }
        let model = model ?? ""
        guard model.utf8.count <= 256, model.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else { throw .model }
        self.url = url
        self.kind = kind
        self.model = model
    }
}

/// The reason why a gateway can't be set up as asked.
package enum SetupFault: Error, Sendable, Equatable, CustomStringConvertible {
    case directory(String)
    case name(String)
    case origin(String)
    case upstream
    case upstreamKind(String, [String])
    case model
    case modelWithoutOpenAI
    /// Files that exist and aren't replaced.
    case existing([String], isForced: Bool)
    /// A file that can't be written, and the reason.
    case unwritable(String, String)
    /// The certificate can't be created.
    case certificate(String)

    package var description: String {
        switch self {
        case .directory(let path):
            "\(ClientText.safe(path)): the path must consist of letters, digits and . _ - + @ / ~, because it is written into several files"
        case .name(let name): "\(ClientText.safe(name)) is neither a host name nor an IP address"
        case .origin(let origin):
            "\(ClientText.safe(origin)) isn't an origin as browsers send it: scheme://host or scheme://host:port, without *"
        case .upstream: "the upstream must be an http, https, ws or wss URL without credentials"
        case .upstreamKind(let scheme, let kinds): "an upstream with \(scheme):// has the kind \(kinds.joined(separator: " or "))"
        case .model: "the model must have at most 256 bytes, without control characters"
        case .modelWithoutOpenAI: "only an upstream of kind openai has a model"
        case .existing(let paths, let isForced):
            "nothing was written, because these files exist:\n" + paths.map { "  " + $0 }.joined(separator: "\n")
                + (isForced
                    ? "\nhint: --force replaces only files that parley init has written"
                    : "\nhint: choose another directory, or use --force")
        case .unwritable(let path, let reason): "\(path): \(reason)"
        case .certificate(let reason): "the certificate can't be created: \(reason)"
        }
    }
}
