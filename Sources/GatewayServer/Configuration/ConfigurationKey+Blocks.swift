// SPDX-License-Identifier: Apache-2.0

/// Keys of named blocks: `upstreams.<name>.urls`, `routes.<name>.type`, `operations.tokens.<name>.secret`.
///
/// The keys of a block are created for each name that a layer sets, and are then treated like any other key.
extension ConfigurationKey {
    /// The groups that consist of blocks.
    static let blockGroups = ["upstreams", "routes", "operations.tokens"]

    /// Splits a name below a group of blocks into the group and the parts after it: `operations.tokens`, `[grafana, secret]`. Returns nil for
    /// another name.
    static func blockParts(_ name: some StringProtocol) -> (group: String, rest: [String])? {
        for group in blockGroups where name.hasPrefix(group + ".") {
            return (group, String(name).dropFirst(group.count + 1).split(separator: ".", omittingEmptySubsequences: false).map(String.init))
        }
        return nil
    }

    /// A named block of the configuration: `upstreams.chat`.
    struct Block: Hashable, Comparable {
        let group: String
        let name: String

        /// Whether a name has 1 to 32 characters of a-z, 0-9 and _ and begins with a letter, so that it can be part of a variable's name.
        static func isValid(_ name: some StringProtocol) -> Bool {
            (1...32).contains(name.utf8.count) && name.utf8.first.map { (0x61...0x7A).contains($0) } ?? false
                && name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F }
        }

        static let nameAllowed = "a name of 1 to 32 characters of a-z, 0-9 and _, beginning with a letter"

        /// Returns the block that a key or flag belongs to if the block's name isn't allowed; nil otherwise.
        static func misnamed(in name: String) -> Block? {
            guard let (group, rest) = blockParts(name.hasPrefix("--") ? name.dropFirst(2) : name[...]), let name = rest.first,
                !isValid(name)
            else { return nil }
            return Block(group: group, name: name)
        }

        /// The nearest allowed name: `my_model` for `my-model`; nil if the name has no letter of a-z.
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
            case "operations.tokens": ConfigurationKey.operationsToken(name)
            default: []
            }
        }
    }

    /// The block that a key belongs to; nil for the keys of ``all``.
    var block: Block? {
        guard let (group, rest) = Self.blockParts(name), rest.count == 2 else { return nil }
        return Block(group: group, name: rest[0])
    }

    /// All keys of a configuration with these blocks, in the order of `gateway.yaml`.
    static func all(with blocks: Set<Block>) -> [ConfigurationKey] { all + blocks.sorted().flatMap(\.keys) }

    /// All keys of a configuration.
    static func all(of configuration: GatewayConfiguration) -> [ConfigurationKey] { all(with: blocks(of: configuration)) }

    static func blocks(of configuration: GatewayConfiguration) -> Set<Block> {
        Set(
            configuration.upstreams.keys.map { Block(group: "upstreams", name: $0) }
                + configuration.routes.keys.map { Block(group: "routes", name: $0) }
                + configuration.operations.tokens.keys.map { Block(group: "operations.tokens", name: $0) })
    }

    /// Returns the key of a name, inside or outside a block; nil if there is none.
    package static func named(_ name: String) -> ConfigurationKey? {
        if let key = byName[name] { return key }
        guard let (group, rest) = blockParts(name), rest.count == 2, Block.isValid(rest[0]) else { return nil }
        return Block(group: group, name: rest[0]).keys.first { $0.name == name }
    }

    /// Returns the key that an environment variable sets: `upstreams.chat.api_key` for `PARLEY_UPSTREAMS_CHAT_API_KEY`.
    static func variable(_ variable: String) -> ConfigurationKey? {
        if let key = byVariable[variable] { return key }
        for group in blockGroups {
            let prefix = "PARLEY_\(group.uppercased().map { $0 == "." ? "_" : String($0) }.joined())_"
            guard variable.hasPrefix(prefix) else { continue }
            let rest = variable.dropFirst(prefix.count)
            // Names of blocks and fields may both contain underscores, so the longest matching field is used.
            let fields = Block(group: group, name: "x").keys.compactMap(\.components.last).sorted { $0.count > $1.count }
            for field in fields where rest.hasSuffix("_" + field.uppercased()) {
                return named("\(group).\(rest.dropLast(field.count + 1).lowercased()).\(field)")
            }
        }
        return nil
    }

    /// Whether a name is that of a group of blocks or of a block: `upstreams`, `upstreams.chat`.
    static func isBlockGroup(_ name: String) -> Bool {
        if blockGroups.contains(name) { return true }
        guard let (_, rest) = blockParts(name) else { return false }
        return rest.count == 1 && Block.isValid(rest[0])
    }

    private static func secret(_ name: String, _ path: ValuePath<String?>, _ meaning: String) -> ConfigurationKey {
        ConfigurationKey(
            name, path, isSecret: true, reload: .live, allowed: "1 to 4096 visible ASCII characters", meaning: meaning,
            read: { only($0).flatMap { Self.isVisible($0) ? $0 : nil }.map(Optional.some) }, write: { $0 })
    }

    private static func isVisible(_ text: String) -> Bool {
        (1...4096).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }

    private static func freeText(_ name: String, _ path: ValuePath<String>, upTo limit: Int, _ meaning: String) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: .live, allowed: "a text of up to \(limit) bytes", meaning: meaning,
            read: { only($0).flatMap { $0.utf8.count <= limit && !$0.utf8.contains(0) ? $0 : nil } }, write: { $0 })
    }

    /// Keys for the kind, endpoints and requests of an upstream.
    private static func upstream(_ name: String) -> [ConfigurationKey] {
        func key(_ field: String) -> String { "upstreams.\(name).\(field)" }
        return [
            .choice(key("kind"), \.[upstream: name].kind, reload: .live, "Protocol of the upstream."),
            .choice(key("task"), \.[upstream: name].task, reload: .live, "openai: the service that requests use."),
            .list(
                key("urls"), \.[upstream: name].urls,
                of: "URLs: ws:// or wss:// for websocket and vosk; http:// or https:// for http and openai (its base URL, with /v1)",
                reload: .live, "Equivalent endpoints. A request goes to the one with the fewest outstanding requests.",
                read: { UpstreamURL($0) }, write: { $0.description }),
            .list(
                key("command"), \.[upstream: name].command, of: "words: the path of a program, and its arguments", reload: .live,
                "process: the program to start, without a shell.",
                read: { (1...4096).contains($0.utf8.count) && !$0.utf8.contains(0) ? $0 : nil }, write: { $0 }),
            .freeText(key("model"), \.[upstream: name].model, upTo: 256, "openai: name of the model."),
            .freeText(key("voice"), \.[upstream: name].voice, upTo: 128, "openai, speech: default voice, for requests without one."),
            .toggle(
                key("strip_markdown"), \.[upstream: name].stripMarkdown, reload: .live,
                "openai, speech: removes Markdown before synthesis: markup and code blocks are dropped, URLs reduced to their host."),
            .freeText(
                key("system_prompt"), \.[upstream: name].systemPrompt, upTo: 32_768,
                "openai, chat: system prompt, sent before the conversation."),
            .count(
                key("history_messages"), \.[upstream: name].historyMessages, in: 1...1000, zero: "none", reload: .live,
                "openai, chat: maximum messages of the conversation that each request includes."),
            .size(
                key("history_bytes"), \.[upstream: name].historyBytes, zero: "none", reload: .live,
                "openai, chat: maximum bytes of the conversation that each request includes; the oldest messages are omitted. A token is about"
                    + " four bytes."),
            .count(
                key("max_tokens"), \.[upstream: name].maxTokens, zero: "the server's own limit", reload: .live,
                "openai, chat: maximum tokens of a response."),
            ConfigurationKey(
                key("extra_body"), \.[upstream: name].extraBody, isMap: true, reload: .live,
                allowed: "a map of up to 16KiB, such as {temperature: 0.2, top_p: 0.9}",
                meaning: "openai: additional members of the body of each request.",
                read: { only($0).flatMap { UpstreamBody($0) } }, write: { $0.description }),
            .toggle(
                key("stream_usage"), \.[upstream: name].streamUsage, reload: .live,
                "openai, chat: requests token usage in streamed responses (stream_options), which some servers reject."),
            .toggle(
                key("reasoning_tags"), \.[upstream: name].reasoningTags, reload: .live,
                "openai, chat: treats <think>…</think> at the beginning of a response as reasoning, which isn't forwarded."),
            secret(
                key("api_key"), \.[upstream: name].apiKey,
                "Sent as a bearer token. A secret: prefer PARLEY_UPSTREAMS_<NAME>_API_KEY_FILE=/path to this key."),
            .list(
                key("headers"), \.[upstream: name].headers, of: "header fields, such as [\"X-Team: voice\"]", isSecret: true, reload: .live,
                "Sent with each request. For secrets prefer PARLEY_UPSTREAMS_<NAME>_HEADERS_FILE=/path, one field per line.",
                read: { UpstreamHeader($0) }, write: { $0.description }),
            ConfigurationKey(
                key("ca"), \.[upstream: name].authority, reload: .live, allowed: pathAllowed,
                meaning: "PEM file of the CAs that the server's certificate is verified against. Unset: the system's CAs.",
                read: { only($0).flatMap(filePath).map(Optional.some) }, write: { $0 }),
            ConfigurationKey(
                key("client_certificate"), \.[upstream: name].clientCertificate, reload: .live, allowed: "cert.pem:key.pem",
                meaning: "Client certificate, presented when the server requests one.",
                read: { only($0).flatMap { CertificateFiles($0) }.map(Optional.some) }, write: { $0?.description }),
        ]
    }

    /// Keys for an upstream's limits, timeouts, retries and health.
    private static func upstreamLimits(_ name: String) -> [ConfigurationKey] {
        func key(_ field: String) -> String { "upstreams.\(name).\(field)" }
        return [
            .count(
                key("max_connections"), \.[upstream: name].maxConnections, reload: .live,
                "Maximum number of concurrent requests; websocket: per connection."),
            .count(
                key("connections_per_loop"), \.[upstream: name].connectionsPerLoop, in: 1...64, zero: nil, reload: .live,
                "websocket: connections per event loop and endpoint."),
            .count(
                key("max_waiting"), \.[upstream: name].maxWaiting, zero: "no queue", reload: .live, "Maximum number of queued requests."
            ),
            .count(
                key("max_processes"), \.[upstream: name].maxProcesses, in: 1...1024, zero: nil, reload: .live,
                "process: maximum number of processes."),
            .count(
                key("max_requests"), \.[upstream: name].maxRequests, reload: .live, "process: requests after which a process is replaced."),
            .size(key("memory_limit"), \.[upstream: name].memoryLimit, reload: .live, "process: address space of a process (RLIMIT_AS)."),
            .toggle(
                key("ignore_banner"), \.[upstream: name].ignoreBanner, reload: .live,
                "process: skips lines before the first JSON object."),
            .duration(key("wait_timeout"), \.[upstream: name].waitTimeout, reload: .live, "Maximum time in the queue."),
            .duration(key("connect_timeout"), \.[upstream: name].connectTimeout, reload: .live, "Deadline for connecting, TLS included."),
            .duration(
                key("first_byte_timeout"), \.[upstream: name].firstByteTimeout, zero: "no limit", reload: .live,
                "Maximum time from the end of the request to the first byte of the response."),
            .duration(
                key("between_bytes_timeout"), \.[upstream: name].betweenBytesTimeout, zero: "no limit", reload: .live,
                "Maximum time between bytes of the response; not counted while the client doesn't read."),
            .duration(
                key("total_timeout"), \.[upstream: name].totalTimeout, zero: "no limit", reload: .live,
                "Maximum time for the whole request, retries included; with audio, from the end of the audio."),
            .duration(
                key("idle_close"), \.[upstream: name].idleClose, reload: .live,
                "Connections and processes that are idle for this long are closed."),
            .duration(key("max_age"), \.[upstream: name].maxAge, reload: .live, "Age at which a connection is replaced."),
            .size(
                key("max_message_bytes"), \.[upstream: name].maxMessageBytes, reload: .live,
                "Maximum size of one message, event or line of a response."),
            .size(key("max_answer_bytes"), \.[upstream: name].maxAnswerBytes, reload: .live, "Maximum size of a whole response."),
            .count(
                key("breaker_failures"), \.[upstream: name].breakerFailures, in: 1...1000, zero: nil, reload: .live,
                "Consecutive failures that eject an endpoint."),
            .factor(
                key("breaker_rate"), \.[upstream: name].breakerRate, upTo: 1, zero: "never", reload: .live,
                "Failure rate that ejects an endpoint, over at least 20 requests within 10 s."),
            .duration(
                key("breaker_open"), \.[upstream: name].breakerOpen, reload: .live,
                "How long an endpoint is ejected before a request is sent to it as a probe."),
            .count(
                key("breaker_probes"), \.[upstream: name].breakerProbes, in: 1...100, zero: nil, reload: .live,
                "Probes that must succeed before an ejected endpoint is used again."),
            .count(
                key("retries"), \.[upstream: name].retries, in: 1...10, zero: "none", reload: .live,
                "Maximum number of retries of a request, with increasing backoff."),
            .factor(
                key("retry_budget"), \.[upstream: name].retryBudget, upTo: 1, zero: "none", reload: .live,
                "Maximum ratio of retries to requests."),
            .choice(
                key("repeatable"), \.[upstream: name].repeatable, reload: .live,
                "Whether a request may be sent again after it has reached the upstream. auto: only with openai."),
            .duration(
                key("hedge_after"), \.[upstream: name].hedgeAfter, from: .milliseconds(1), zero: "never", reload: .live,
                "When no response has begun after this time, the request is also sent to a second endpoint; requires repeatable."),
            .freeText(
                key("health_path"), \.[upstream: name].healthPath, upTo: 1024,
                "http and openai: path of the health check (GET); an endpoint that doesn't return 2xx is ejected. Empty: no checks."),
            .duration(key("health_interval"), \.[upstream: name].healthInterval, reload: .live, "Interval between health checks."),
            ConfigurationKey(
                key("price"), \.[upstream: name].price, isMap: true, reload: .live,
                allowed: "a map of per_1k_input_tokens, per_1k_output_tokens, per_audio_minute and per_1k_characters, numbers from 0",
                meaning: "Price of the service, in a unit of your own, for the quotas and reports of cost.",
                read: { only($0).flatMap { UpstreamPrice($0) } }, write: { $0.description }),
        ]
    }

    private static func operationsToken(_ name: String) -> [ConfigurationKey] {
        func key(_ field: String) -> String { "operations.tokens.\(name).\(field)" }
        return [
            ConfigurationKey(
                key("secret"), \.[operationsToken: name].secret, isSecret: true, reload: .live, allowed: operationsTokenAllowed,
                meaning: "The bearer token. A secret: prefer PARLEY_OPERATIONS_TOKENS_<NAME>_SECRET_FILE=/path to this key.",
                read: { only($0).flatMap(token).map(Optional.some) }, write: { $0 }),
            .list(
                key("rights"), \.[operationsToken: name].rights, of: "\(alternatives(OperationsRight.allCases.map(\.rawValue)))",
                reload: .live, "Rights of requests with this token.", read: { OperationsRight(rawValue: $0) }, write: { $0.rawValue }),
        ]
    }

    private static func route(_ name: String) -> [ConfigurationKey] {
        func key(_ field: String) -> String { "routes.\(name).\(field)" }
        return [
            .choice(key("type"), \.[route: name].type, reload: .live, "Types of messages that the route matches."),
            ConfigurationKey(
                key("path"), \.[route: name].path, reload: .live,
                allowed: "nothing, or a path of up to 128 visible ASCII characters without ? and #, beginning with a slash",
                meaning: "Matches only clients that connect to this path, which the gateway then accepts.",
                read: { only($0).flatMap(Self.path) }, write: { $0 }),
            .list(
                key("meta"), \.[route: name].meta, of: "conditions key=value", reload: .live,
                "Matches only messages with all of these in meta.",
                read: { MetaCondition($0) }, write: { $0.description }),
            .list(
                key("upstreams"), \.[route: name].upstreams, of: "names of upstreams, each \(Block.nameAllowed)", reload: .live,
                "Upstreams of the request's stages, in order, such as [transcriber, model, voice].", read: { Block.isValid($0) ? $0 : nil },
                write: { $0 }),
            .choice(
                key("dedupe"), \.[route: name].dedupe, reload: .live,
                "Which identical requests in flight with the same meta.dedupe_key share one upstream call."),
            .freeText(key("dedupe_key"), \.[route: name].dedupeKey, upTo: 256, "Default for messages without meta.dedupe_key."),
            .size(
                key("collect_max_bytes"), \.[route: name].collectMaxBytes, reload: .live,
                "Maximum size of the audio collected for an upstream that requires all audio at once. Beyond it: audio_too_large."),
            .choice(
                key("speech_failures"), \.[route: name].speechFailures, reload: .live,
                "Effect of a failed synthesis of a sentence. skip: the sentence has no audio and a status reports it; fail: the request fails."
            ),
        ]
    }

    @Sendable private static func path(_ text: String) -> String? {
        guard !text.isEmpty else { return text }
        let isFine = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        return text.hasPrefix("/") && text.utf8.count <= 128 && isFine ? text : nil
    }
}
