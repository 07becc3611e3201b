/// Keys of blocks that have names of their own: `upstreams.<name>.url` and `routes.<name>.type`.
///
/// The table of a block's keys is made for each name that a layer mentions. Everything else treats them as any other key.
extension ConfigurationKey {
    /// The groups whose members are blocks.
    static let blockGroups = ["upstreams", "routes"]

    /// A block of a configuration.
    struct Block: Hashable, Comparable {
        let group: String
        let name: String

        /// 1 to 32 of a-z, 0-9 and _, the first a letter: so that variables can name it too.
        static func isValid(_ name: some StringProtocol) -> Bool {
            (1...32).contains(name.utf8.count) && name.utf8.first.map { (0x61...0x7A).contains($0) } ?? false
                && name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F }
        }

        static let nameAllowed = "a name of 1 to 32 characters of a-z, 0-9 and _, beginning with a letter"

        /// The block whose name isn't allowed, in the name of a key or of its flag; nil where there is none.
        static func misnamed(in name: String) -> Block? {
            let parts = (name.hasPrefix("--") ? name.dropFirst(2) : name[...]).split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count >= 2, blockGroups.contains(String(parts[0])), !isValid(parts[1]) else { return nil }
            return Block(group: String(parts[0]), name: String(parts[1]))
        }

        /// The allowed name that is nearest: `my_model` for `my-model`; nil where nothing of it is allowed.
        var allowedName: String? {
            let bytes = name.lowercased().utf8.map { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) ? $0 : 0x5F }
            let text = String(decoding: bytes.drop { !(0x61...0x7A).contains($0) }.prefix(32), as: UTF8.self)
            return Self.isValid(text) ? text : nil
        }

        static func < (one: Block, other: Block) -> Bool {
            one.group == other.group ? one.name < other.name : one.group > other.group
        }

        var keys: [ConfigurationKey] {
            switch group {
            case "upstreams": ConfigurationKey.upstream(name) + ConfigurationKey.upstreamLimits(name)
            case "routes": ConfigurationKey.route(name)
            default: []
            }
        }
    }

    /// The block that a key belongs to; nil for the keys of ``all``.
    var block: Block? {
        let parts = components
        guard parts.count == 3, Self.blockGroups.contains(parts[0]) else { return nil }
        return Block(group: parts[0], name: parts[1])
    }

    /// The keys of a configuration with these blocks, in the order of `gateway.yaml`.
    static func all(with blocks: Set<Block>) -> [ConfigurationKey] { all + blocks.sorted().flatMap(\.keys) }

    /// Every key of a configuration.
    static func all(of configuration: GatewayConfiguration) -> [ConfigurationKey] { all(with: blocks(of: configuration)) }

    static func blocks(of configuration: GatewayConfiguration) -> Set<Block> {
        Set(
            configuration.upstreams.keys.map { Block(group: "upstreams", name: $0) }
                + configuration.routes.keys.map { Block(group: "routes", name: $0) })
    }

    /// The key of that name, of a block or not.
    package static func named(_ name: String) -> ConfigurationKey? {
        if let key = byName[name] { return key }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, blockGroups.contains(String(parts[0])), Block.isValid(parts[1]) else { return nil }
        return Block(group: String(parts[0]), name: String(parts[1])).keys.first { $0.name == name }
    }

    /// The key that an environment variable sets: `PARLEY_UPSTREAMS_CHAT_API_KEY` is `upstreams.chat.api_key`.
    static func variable(_ variable: String) -> ConfigurationKey? {
        if let key = byVariable[variable] { return key }
        for group in blockGroups {
            let prefix = "PARLEY_\(group.uppercased())_"
            guard variable.hasPrefix(prefix) else { continue }
            let rest = variable.dropFirst(prefix.count)
            // The longest field that fits: names may have underscores, as fields do.
            let fields = Block(group: group, name: "x").keys.compactMap(\.components.last).sorted { $0.count > $1.count }
            for field in fields where rest.hasSuffix("_" + field.uppercased()) {
                return named("\(group).\(rest.dropLast(field.count + 1).lowercased()).\(field)")
            }
        }
        return nil
    }

    /// Whether a name leads to keys of blocks: `upstreams`, `upstreams.chat`.
    static func isBlockGroup(_ name: String) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard let group = parts.first, blockGroups.contains(String(group)) else { return false }
        return parts.count == 1 || (parts.count == 2 && Block.isValid(parts[1]))
    }

    private static func secret(_ name: String, _ path: Place<String?>, _ meaning: String) -> ConfigurationKey {
        ConfigurationKey(
            name, path, isSecret: true, reload: .live, allowed: "1 to 4096 visible ASCII characters", meaning: meaning,
            read: { only($0).flatMap { Self.isVisible($0) ? $0 : nil }.map(Optional.some) }, write: { $0 })
    }

    private static func isVisible(_ text: String) -> Bool {
        (1...4096).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }

    private static func words(_ name: String, _ path: Place<String>, upTo limit: Int, _ meaning: String) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: .live, allowed: "a text of up to \(limit) bytes", meaning: meaning,
            read: { only($0).flatMap { $0.utf8.count <= limit && !$0.utf8.contains(0) ? $0 : nil } }, write: { $0 })
    }

    /// What an upstream is and where.
    private static func upstream(_ name: String) -> [ConfigurationKey] {
        func key(_ field: String) -> String { "upstreams.\(name).\(field)" }
        return [
            .choice(key("kind"), \.[upstream: name].kind, reload: .live, "What speaks at the other end."),
            .choice(key("task"), \.[upstream: name].task, reload: .live, "Of openai: which of its services."),
            .list(
                key("urls"), \.[upstream: name].urls,
                of: "URLs: ws:// or wss:// for websocket and vosk, http:// or https:// for http, and with openai up to and including /v1",
                reload: .live, "Endpoints, which do the same. The one with the fewest requests outstanding gets the next.",
                read: { UpstreamURL($0) }, write: { $0.description }),
            .list(
                key("command"), \.[upstream: name].command, of: "words: the path of a program, and its arguments", reload: .live,
                "Of process: what is started. No shell looks at it.",
                read: { (1...4096).contains($0.utf8.count) && !$0.utf8.contains(0) ? $0 : nil }, write: { $0 }),
            .words(key("model"), \.[upstream: name].model, upTo: 256, "Of openai: the model's name."),
            .words(key("voice"), \.[upstream: name].voice, upTo: 128, "Of openai's speech: the voice where the client asks for none."),
            .toggle(
                key("strip_markdown"), \.[upstream: name].stripMarkdown, reload: .live,
                "Whether openai's speech is given texts without Markdown: no marks, URLs as their host, no code blocks."),
            .words(
                key("system_prompt"), \.[upstream: name].systemPrompt, upTo: 32_768,
                "Of openai's chat: what the model is told before the conversation."),
            .count(
                key("history_messages"), \.[upstream: name].historyMessages, in: 1...1000, zero: "none", reload: .live,
                "Of openai's chat: messages of the conversation that go along."),
            .size(
                key("history_bytes"), \.[upstream: name].historyBytes, zero: "none", reload: .live,
                "Of openai's chat: bytes of the conversation that go along, the oldest left out. A token is about four."),
            .count(
                key("max_tokens"), \.[upstream: name].maxTokens, zero: "the server's own limit", reload: .live,
                "Of openai's chat: tokens of an answer."),
            ConfigurationKey(
                key("extra_body"), \.[upstream: name].extraBody, isMap: true, reload: .live,
                allowed: "a map of up to 16KiB, such as {temperature: 0.2, top_p: 0.9}",
                meaning: "openai: further members of the body of each request.",
                read: { only($0).flatMap { UpstreamBody($0) } }, write: { $0.description }),
            .toggle(
                key("stream_usage"), \.[upstream: name].streamUsage, reload: .live,
                "openai's chat: asks for the usage of a streamed answer (stream_options), which some servers refuse."),
            .toggle(
                key("reasoning_tags"), \.[upstream: name].reasoningTags, reload: .live,
                "openai's chat: <think>…</think> at the beginning of an answer is reasoning, which isn't passed on."),
            secret(
                key("api_key"), \.[upstream: name].apiKey,
                "Sent as a bearer token. A secret: better in PARLEY_UPSTREAMS_<NAME>_API_KEY_FILE=/path than here."),
            .list(
                key("headers"), \.[upstream: name].headers, of: "header fields, such as [\"X-Team: voice\"]", isSecret: true, reload: .live,
                "Sent along with each request. They may hold secrets, which PARLEY_UPSTREAMS_<NAME>_HEADERS_FILE=/path reads, one field a line.",
                read: { UpstreamHeader($0) }, write: { $0.description }),
            ConfigurationKey(
                key("ca"), \.[upstream: name].authority, reload: .live, allowed: pathAllowed,
                meaning: "PEM file of the authorities that its certificate is checked against. Unset: the system's.",
                read: { only($0).flatMap(filePath).map(Optional.some) }, write: { $0 }),
            ConfigurationKey(
                key("client_certificate"), \.[upstream: name].clientCertificate, reload: .live, allowed: "cert.pem:key.pem",
                meaning: "Shown to it where it asks for one.",
                read: { only($0).flatMap { CertificateFiles($0) }.map(Optional.some) }, write: { $0?.description }),
        ]
    }

    /// What an upstream may take, and what happens when it doesn't work.
    private static func upstreamLimits(_ name: String) -> [ConfigurationKey] {
        func key(_ field: String) -> String { "upstreams.\(name).\(field)" }
        return [
            .count(
                key("max_connections"), \.[upstream: name].maxConnections, reload: .live,
                "Requests at a time; of websocket on one connection."),
            .count(
                key("connections_per_loop"), \.[upstream: name].connectionsPerLoop, in: 1...64, zero: nil, reload: .live,
                "Of websocket: connections of one event loop to one endpoint."),
            .count(
                key("max_waiting"), \.[upstream: name].maxWaiting, zero: "no line", reload: .live, "Requests that wait for max_connections."
            ),
            .count(key("max_processes"), \.[upstream: name].maxProcesses, in: 1...1024, zero: nil, reload: .live, "Of process: at a time."),
            .count(
                key("max_requests"), \.[upstream: name].maxRequests, reload: .live, "Of process: after so many requests one is replaced."),
            .size(key("memory_limit"), \.[upstream: name].memoryLimit, reload: .live, "Of process: address space of one (RLIMIT_AS)."),
            .toggle(
                key("ignore_banner"), \.[upstream: name].ignoreBanner, reload: .live,
                "Of process: lines before its first JSON object are passed over."),
            .duration(key("wait_timeout"), \.[upstream: name].waitTimeout, reload: .live, "For a place among max_connections."),
            .duration(key("connect_timeout"), \.[upstream: name].connectTimeout, reload: .live, "For the connection, TLS included."),
            .duration(
                key("first_byte_timeout"), \.[upstream: name].firstByteTimeout, zero: "no limit", reload: .live,
                "From the end of the request to the first byte of the answer."),
            .duration(
                key("between_bytes_timeout"), \.[upstream: name].betweenBytesTimeout, zero: "no limit", reload: .live,
                "Between bytes of the answer, unless it is the client who doesn't read."),
            .duration(
                key("total_timeout"), \.[upstream: name].totalTimeout, zero: "no limit", reload: .live,
                "For everything, retries included; from the end of the audio where there is some."),
            .duration(
                key("idle_close"), \.[upstream: name].idleClose, reload: .live,
                "A connection or process without work is closed after so long."),
            .duration(key("max_age"), \.[upstream: name].maxAge, reload: .live, "A connection is replaced after so long."),
            .size(
                key("max_message_bytes"), \.[upstream: name].maxMessageBytes, reload: .live, "Of one message, event or line of an answer."),
            .size(key("max_answer_bytes"), \.[upstream: name].maxAnswerBytes, reload: .live, "Of a whole answer."),
            .count(
                key("breaker_failures"), \.[upstream: name].breakerFailures, in: 1...1000, zero: nil, reload: .live,
                "So many failures in a row keep requests away from an endpoint."),
            .factor(
                key("breaker_rate"), \.[upstream: name].breakerRate, most: 1, zero: "never", reload: .live,
                "So does this share of failures, of at least 20 requests within 10 s."),
            .duration(
                key("breaker_open"), \.[upstream: name].breakerOpen, reload: .live, "How long, before a request is let through as a probe."),
            .count(
                key("breaker_probes"), \.[upstream: name].breakerProbes, in: 1...100, zero: nil, reload: .live,
                "Probes that have to succeed."),
            .count(
                key("retries"), \.[upstream: name].retries, in: 1...10, zero: "none", reload: .live,
                "Of one request, with a growing pause before each."),
            .factor(
                key("retry_budget"), \.[upstream: name].retryBudget, most: 1, zero: "none", reload: .live,
                "Retries for each request, on average."),
            .choice(
                key("repeatable"), \.[upstream: name].repeatable, reload: .live,
                "Whether a request may be sent again after it had reached the upstream. auto: with openai only."),
            .duration(
                key("hedge_after"), \.[upstream: name].hedgeAfter, from: .milliseconds(1), zero: "never", reload: .live,
                "An answer that hasn't begun after so long is asked for at a second endpoint as well; needs repeatable."),
            .words(
                key("health_path"), \.[upstream: name].healthPath, upTo: 1024,
                "Of http and openai: asked with GET; an endpoint that doesn't answer 2xx is avoided. Empty: no checks."),
            .duration(key("health_interval"), \.[upstream: name].healthInterval, reload: .live, "Between health checks."),
        ]
    }

    private static func route(_ name: String) -> [ConfigurationKey] {
        func key(_ field: String) -> String { "routes.\(name).\(field)" }
        return [
            .choice(key("type"), \.[route: name].type, reload: .live, "Which messages it takes."),
            ConfigurationKey(
                key("path"), \.[route: name].path, reload: .live,
                allowed: "nothing, or a path of up to 128 visible ASCII characters without ? and #, beginning with a slash",
                meaning: "Only from clients that connect to this path, which is then one of the gateway's.",
                read: { only($0).flatMap(Self.path) }, write: { $0 }),
            .list(
                key("meta"), \.[route: name].meta, of: "conditions key=value", reload: .live, "Only messages with all of these in meta.",
                read: { MetaCondition($0) }, write: { $0.description }),
            .list(
                key("upstreams"), \.[route: name].upstreams, of: "names of upstreams, each \(Block.nameAllowed)", reload: .live,
                "Who works on it, one after the other: [recogniser, model, voice].", read: { Block.isValid($0) ? $0 : nil }, write: { $0 }),
            .choice(
                key("dedupe"), \.[route: name].dedupe, reload: .live,
                "Who shares one upstream call when the same is asked with the same meta.dedupe_key at the same time."),
            .words(key("dedupe_key"), \.[route: name].dedupeKey, upTo: 256, "Stands in for meta.dedupe_key where a message has none."),
            .size(
                key("collect_max_bytes"), \.[route: name].collectMaxBytes, reload: .live,
                "Audio that is collected for an upstream that takes it as a whole. Beyond it: audio_too_large."),
            .choice(
                key("speech_failures"), \.[route: name].speechFailures, reload: .live,
                "A sentence of the answer that the speaker fails on. skip: it has no sound, a status tells so; fail: the request fails."),
        ]
    }

    @Sendable private static func path(_ text: String) -> String? {
        guard !text.isEmpty else { return text }
        let isFine = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        return text.hasPrefix("/") && text.utf8.count <= 128 && isFine ? text : nil
    }
}
