package import GatewayCore
import GatewayWebSocket

extension GatewayConfiguration {
    /// `upstreams.<name>.*`: a service that Parley stands in front of.
    package struct Upstream: Sendable, Equatable {
        package var kind = UpstreamKind.loopback
        /// Of `openai`: which of its services.
        package var task = UpstreamTask.chat
        /// Endpoints of all kinds but `loopback` and `process`.
        package var urls: [UpstreamURL] = []
        /// Of `process`: the program and its arguments.
        package var command: [String] = []
        /// Of `openai`.
        package var model = ""
        package var voice = ""
        /// Whether a speaker is given texts without Markdown.
        package var stripMarkdown = true
        package var systemPrompt = ""
        /// How much of the conversation goes along to a chat model.
        package var historyMessages = 40
        package var historyBytes = 16_384
        /// Tokens of an answer; 0 leaves it to the server.
        package var maxTokens = 0
        /// Further members of the body of an `openai` request.
        package var extraBody = UpstreamBody()
        /// Asks a streaming chat server for the usage; some refuse the field.
        package var streamUsage = true
        /// `<think>…</think>` at the beginning of an answer is reasoning.
        package var reasoningTags = true
        /// Credentials, never shown.
        package var apiKey: String?
        package var headers: [UpstreamHeader] = []
        /// PEM of the authorities that its certificate is checked against, in place of the system's.
        package var authority: String?
        package var clientCertificate: CertificateFiles?
        package var maxConnections = 50
        /// Of `websocket`.
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
        /// An idle connection is closed after so long, any after `maxAge`.
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

        package init() {}
    }

    /// `routes.<name>.*`: which requests go to which upstreams.
    package struct Route: Sendable, Equatable {
        package var type = RouteType.any
        /// The path that the client has connected to; empty for any.
        package var path = ""
        /// `key=value` each.
        package var meta: [MetaCondition] = []
        /// Names of upstreams, in the order in which they work.
        package var upstreams: [String] = []
        package var dedupe = GatewayCore.Route.Sharing.subject
        package var dedupeKey = ""
        package var collectMaxBytes = 2 << 20
        package var speechFailures = SpeechFailures.skip

        package init() {}
    }

    /// The block of that name; writing makes it where there is none.
    subscript(upstream name: String) -> Upstream {
        get { upstreams[name] ?? Upstream() }
        set { upstreams[name] = newValue }
    }

    subscript(route name: String) -> Route {
        get { routes[name] ?? Route() }
        set { routes[name] = newValue }
    }
}

/// What speaks at the other end.
package enum UpstreamKind: String, Sendable, CaseIterable {
    case loopback, websocket, vosk, openai, http, process
}

/// Which service of an OpenAI-compatible server.
package enum UpstreamTask: String, Sendable, CaseIterable {
    case chat, transcription, speech
}

/// Whether a request may be sent again after it had reached an upstream.
package enum Repeatability: String, Sendable, CaseIterable {
    /// As is safe with the kind: yes with `openai`, whose answers change nothing, no with all others.
    case auto
    case yes, no
}

/// The effect on a request of a sentence that the speaker fails on.
package enum SpeechFailures: String, Sendable, CaseIterable {
    /// The sentence has no sound, and a status tells so.
    case skip
    /// The request fails.
    case fail
}

/// Which messages a route takes.
package enum RouteType: String, Sendable, CaseIterable {
    case any, text, audio
}

/// `http://127.0.0.1:8000/v1`: where an upstream listens.
package struct UpstreamURL: Sendable, Hashable, CustomStringConvertible {
    /// `http`, `https`, `ws` or `wss`.
    package let scheme: String
    package let location: WebSocketURL

    /// Nil when the text isn't such a URL: no credentials in it, no fragment.
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

/// A header field that goes along with each request.
package struct UpstreamHeader: Sendable, Hashable, CustomStringConvertible {
    package let name: String
    package let value: String

    /// `Name: value`; nil when the name isn't a token (RFC 9110 §5.1), or the value has anything but visible ASCII, blanks and tabs.
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

/// `key=value`, to be found in a request's `meta`.
package struct MetaCondition: Sendable, Hashable, CustomStringConvertible {
    package let key: String
    package let value: String

    package init?(_ text: String) {
        guard let equals = text.firstIndex(of: "="), text.utf8.count <= 1100 else { return nil }
        key = String(text[..<equals])
        value = String(text[text.index(after: equals)...])
        guard (1...64).contains(key.utf8.count), value.utf8.count <= 1024, key.utf8.allSatisfy(Self.isOfKey) else { return nil }
    }

    /// What clients may write keys of `meta` in.
    private static func isOfKey(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
        }
    }

    package var description: String { "\(key)=\(value)" }
}
