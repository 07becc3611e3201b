// SPDX-License-Identifier: Apache-2.0

import GatewayCore

extension Route {
    init(name: String, _ configuration: GatewayConfiguration.Route, upstreamNames: [String], roles: [UpstreamRole]) {
        self.init(name: name)
        self.upstreams = configuration.upstreams.compactMap { upstreamNames.firstIndex(of: $0) }
        let roles = self.upstreams.map { roles[$0] }
        switch configuration.type {
        case .text: inputs = [.text]
        case .audio: inputs = [.audio]
        // The inputs that the route's first upstream accepts.
        case .any where roles == [.transcribe]: inputs = [.audio]
        case .any where roles.first == .respond || roles.first == .synthesize: inputs = [.text]
        case .any: inputs = []
        }
        path = configuration.path.isEmpty ? nil : configuration.path
        meta = configuration.meta.map { MetaEntry(key: Array($0.key.utf8), value: Array($0.value.utf8)) }
        sharing = configuration.dedupe
        dedupeKey = configuration.dedupeKey.isEmpty ? nil : Array(configuration.dedupeKey.utf8)
        collectMaxBytes = ConfiguredLimit.unlimitedIfZero(configuration.collectMaxBytes)
        requiresSpeech = configuration.speechFailures == .fail
    }
}
