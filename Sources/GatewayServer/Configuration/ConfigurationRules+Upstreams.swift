// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The rules within and between upstreams and routes.
extension ConfigurationRules {
    mutating func check(upstream name: String) {
        let upstream = configuration[upstream: name]
        func key(_ field: String) -> String { "upstreams.\(name).\(field)" }
        switch upstream.kind {
        case .loopback: break
        case .websocket, .vosk:
            if upstream.urls.isEmpty || !upstream.urls.allSatisfy(\.isWebSocket) {
                reject(key("urls"), with: [key("kind")], allowed: "with this kind, at least one URL, all ws:// or wss://")
            }
        case .openai, .http:
            if upstream.urls.isEmpty || upstream.urls.contains(where: \.isWebSocket) {
                reject(key("urls"), with: [key("kind")], allowed: "with this kind, at least one URL, all http:// or https://")
            }
        case .process:
            if upstream.command.isEmpty { reject(key("command"), with: [key("kind")], allowed: "with this kind, the path of a program") }
        }
        if let taken = upstream.extraBody.members.map(\.name).first(where: { upstream.reservedMembers.contains($0) }) {
            reject(key("extra_body"), with: [key("kind"), key("task")], allowed: "members other than \(taken), which the gateway sets")
        }
        if upstream.hedgeAfter != .zero, !upstream.isRepeatable {
            reject(key("hedge_after"), with: [key("repeatable"), key("kind")], allowed: "0ms, unless requests are repeatable")
        }
        if !upstream.healthPath.isEmpty,
            !upstream.healthPath.hasPrefix("/") || !upstream.healthPath.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        {
            reject(key("health_path"), allowed: "a path, beginning with a slash")
        }
    }

    mutating func check(route name: String) {
        let route = configuration[route: name]
        let key = "routes.\(name).upstreams"
        if route.upstreams.isEmpty { return reject(key, allowed: "at least one upstream") }
        if route.upstreams.count > 4 { return reject(key, allowed: "at most four upstreams") }
        if let unknown = route.upstreams.first(where: { configuration.upstreams[$0] == nil }) {
            return reject(key, allowed: "names of configured upstreams; \(unknown) isn't one")
        }
        let roles = route.upstreams.map { configuration[upstream: $0].role }
        for (index, role) in roles.enumerated() {
            switch role {
            case .transcribe where index > 0: return reject(key, allowed: "a transcribe stage (transcription, vosk) only as the first")
            case .synthesize where index < roles.count - 1: return reject(key, allowed: "a synthesize stage (speech) only as the last")
            default: break
            }
        }
        if route.type == .audio, roles[0] == .respond || roles[0] == .synthesize {
            reject(key, with: ["routes.\(name).type"], allowed: "with this type, a first stage that accepts audio")
        }
        if route.type == .text, roles == [.transcribe] {
            reject(key, with: ["routes.\(name).type"], allowed: "with this type, a stage that accepts text")
        }
    }
}

extension GatewayConfiguration.Upstream {
    package var role: UpstreamRole {
        switch (kind, task) {
        case (.vosk, _), (.openai, .transcription): .transcribe
        case (.openai, .chat): .respond
        case (.openai, .speech): .synthesize
        case (.loopback, _), (.websocket, _), (.http, _), (.process, _): .any
        }
    }

    /// Members of the body that the gateway sets, so that `extra_body` can't.
    var reservedMembers: Set<String> {
        switch task {
        case .chat: ["model", "messages", "stream", "stream_options"]
        case .transcription: ["model", "file", "stream"]
        // The gateway reads audio as WAV.
        case .speech: ["model", "input", "response_format", "stream_format"]
        }
    }

    package var isRepeatable: Bool {
        switch repeatable {
        case .yes: true
        case .no: false
        case .auto: kind == .openai
        }
    }
}
