// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayWebSocket
package import ParleyClient

extension GatewayConfiguration {
    /// `upstreams.<name>.*`: a service behind Parley.
    package struct Upstream: Sendable, Equatable {
        package var kind = UpstreamKind.loopback
        /// `openai`: the service that requests use.
        package var task = UpstreamTask.chat
        /// Endpoints; unused by `loopback` and `process`.
        package var urls: [UpstreamURL] = []
        /// `process`: the program and its arguments.
        package var command: [String] = []
        /// The model. This and the fields up to `reasoningTags` apply only to `openai`.
        package var model = ""
        package var voice = ""
        /// Whether Markdown is removed from texts before synthesis.
        package var stripMarkdown = true
        package var systemPrompt = ""
        /// Maximum messages of the conversation that a chat request includes, and the same in bytes; the oldest are omitted.
        package var historyMessages = 40
        package var historyBytes = 16_384
        /// Maximum tokens of a response; 0: the server's own limit.
        package var maxTokens = 0
        /// Additional members of the body of a request.
        package var extraBody = UpstreamBody()
        /// Whether the usage of a streamed response is requested; some servers reject the field.
        package var streamUsage = true
        /// Whether `<think>…</think>` at the beginning of a response is reasoning.
        package var reasoningTags = true
        /// Credentials of the upstream, always masked in output.
        package var apiKey: String?
        package var headers: [UpstreamHeader] = []
        /// PEM file of the CAs that the server's certificate is verified against, in place of the system's.
        package var authority: String?
        package var clientCertificate: CertificateFiles?
        package var maxConnections = 50
        /// `websocket`: connections per event loop and endpoint.
        package var connectionsPerLoop = 1
        package var maxWaiting = 100
        package var maxProcesses = 4
        package var maxRequests = 1000
        package var memoryLimit = 1 << 30
        /// Whether a `process` may print lines before its first JSON object.
        package var ignoreBanner = false
        package var waitTimeout = Duration.seconds(5)
        package var connectTimeout = Duration.seconds(2)
        package var firstByteTimeout = Duration.seconds(30)
        package var betweenBytesTimeout = Duration.seconds(15)
        package var totalTimeout = Duration.seconds(120)
        /// How long a connection may be idle before it is closed; every connection is replaced after `maxAge`.
        package var idleClose = Duration.seconds(60)
        package var maxAge = Duration.seconds(600)
        package var maxMessageBytes = 1 << 20
        package var maxAnswerBytes = 64 << 20
        package var breakerFailures = 5
        package var breakerRate = 0.5
        package var breakerOpen = Duration.seconds(60)
        package var breakerProbes = 1
        package var retries = 2
        package var retryBudget = 0.2
        package var repeatable = Repeatability.auto
        package var hedgeAfter = Duration.zero
        package var healthPath = ""
        package var healthInterval = Duration.seconds(10)
        /// The price of the service, from which `quotas.cost_per_*` are computed.
        package var price = UpstreamPrice()

        package init() {}
    }

    /// `routes.<name>.*`: which requests go to which upstreams.
    package struct Route: Sendable, Equatable {
        package var type = RouteType.any
        /// The path of the client's connection; empty: any.
        package var path = ""
        /// Conditions on `meta`.
        package var meta: [MetaCondition] = []
        /// Names of upstreams, in the order of the stages.
        package var upstreams: [String] = []
        package var dedupe = GatewayCore.Route.Sharing.subject
        package var dedupeKey = ""
        package var collectMaxBytes = 2 << 20
        package var speechFailures = SpeechFailures.skip

        package init() {}
    }

    /// The block of a name; setting a field creates the block.
    subscript(upstream name: String) -> Upstream {
        get { upstreams[name] ?? Upstream() }
        set { upstreams[name] = newValue }
    }

    subscript(operationsToken name: String) -> ConfigurationSection.Operations.Token {
        get { operations.tokens[name] ?? .init() }
        set { operations.tokens[name] = newValue }
    }

    subscript(route name: String) -> Route {
        get { routes[name] ?? Route() }
        set { routes[name] = newValue }
    }
}

/// The protocol of an upstream.
package enum UpstreamKind: String, Sendable, CaseIterable {
    case loopback, websocket, vosk, openai, http, process
}

/// The service of an OpenAI-compatible server.
package enum UpstreamTask: String, Sendable, CaseIterable {
    case chat, transcription, speech
}

/// Whether a request may be sent again after it has reached an upstream.
package enum Repeatability: String, Sendable, CaseIterable {
    /// Yes with `openai`, whose requests have no side effects; no with all other kinds.
    case auto
    case yes, no
}

/// The effect on a request when the synthesis of a sentence fails.
package enum SpeechFailures: String, Sendable, CaseIterable {
    /// The sentence has no audio, and a status reports it.
    case skip
    /// The request fails.
    case fail
}

/// The types of messages that a route matches.
package enum RouteType: String, Sendable, CaseIterable {
    case any, text, audio
}

/// The URL of an upstream: `http://127.0.0.1:8000/v1`.
package struct UpstreamURL: Sendable, Hashable, CustomStringConvertible {
    /// `http`, `https`, `ws` or `wss`.
    package let scheme: String
    package let location: WebSocketURL

    /// Returns nil if the text isn't such a URL, or contains credentials or a fragment.
    package init?(_ text: String) {
        guard text.utf8.count <= 1024, let end = text.firstIndex(of: ":") else { return nil }
        scheme = text[..<end].lowercased()
        let isSecure: Bool
        switch scheme {
        case "http", "ws": isSecure = false
        case "https", "wss": isSecure = true
        default: return nil
        }
        guard let location = try? WebSocketURL((isSecure ? "wss" : "ws") + text[end...]) else { return nil }
        self.location = location
    }

    package var isWebSocket: Bool { scheme.hasPrefix("ws") }
    package var isSecure: Bool { location.isSecure }

    package var description: String { "\(scheme)://\(location.authority)\(location.target)" }
}

/// A header field that is sent with each request.
package struct UpstreamHeader: Sendable, Hashable, CustomStringConvertible {
    package let name: String
    package let value: String

    /// Parses `Name: value`; returns nil if the name isn't a token (RFC 9110 §5.1) or the value contains anything but visible ASCII, spaces
    /// and tabs.
    package init?(_ text: String) {
        guard let colon = text.firstIndex(of: ":"), text.utf8.count <= 4096 else { return nil }
        let name = text[..<colon]
        let value = text[text.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
        guard !name.isEmpty, HeaderGrammar.isToken(name), value.utf8.allSatisfy({ $0 == 9 || (0x20...0x7E).contains($0) })
        else { return nil }
        self.name = String(name)
        self.value = String(value)
    }

    package var description: String { "\(name): \(value)" }
}

/// A condition on a request's `meta`: `key=value`.
package struct MetaCondition: Sendable, Hashable, CustomStringConvertible {
    package let key: String
    package let value: String

    package init?(_ text: String) {
        guard let equals = text.firstIndex(of: "="), text.utf8.count <= 1100 else { return nil }
        key = String(text[..<equals])
        value = String(text[text.index(after: equals)...])
        guard (1...64).contains(key.utf8.count), value.utf8.count <= 1024, key.utf8.allSatisfy(Self.isKeyByte) else { return nil }
    }

    /// Whether a byte is allowed in keys of `meta`.
    private static func isKeyByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
        }
    }

    package var description: String { "\(key)=\(value)" }
}
